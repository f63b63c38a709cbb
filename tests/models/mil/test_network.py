"""The head in numpy: tables are probabilities, attention is a distribution, damage is named."""

import math
from pathlib import Path

import mil_head
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import CheckpointError, WeightsCorrupted
from immunopath.domain.prediction import FIELD_VALUES, GRID
from immunopath.models.mil.network import number_table, read_head
from immunopath.models.mil.record import WEIGHTS


def test_the_number_grid_is_that_of_predictions() -> None:
    assert number_table(np.zeros(2)).shape == (len(GRID),)


@given(st.floats(-8, 8), st.floats(-12, 3))
def test_a_number_table_is_a_distribution_about_its_centre(centre: float, scale: float) -> None:
    table = number_table(np.array([centre, scale]))
    assert table.shape == (101,)
    assert (table >= 0).all()
    assert table.sum() == pytest.approx(1)
    median = int((table.cumsum() < 0.5 - 1e-12).sum()) / 100
    assert abs(median - 1 / (1 + math.exp(-centre))) <= 0.0051


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**31))
def test_tables_and_attention_sum_to_one(n_tiles: int, members: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n_tiles, 16)).astype(np.float32)
    found = mil_head.head(tuple(FIELD_VALUES), 16, members=members).read(rows)
    assert tuple(found) == tuple(FIELD_VALUES)
    for name, field in found.items():
        k = len(FIELD_VALUES[name] or GRID)
        assert field.case.shape == (k,)
        assert field.tiles.shape == (n_tiles, k)
        np.testing.assert_allclose(field.tiles.sum(axis=1), 1)
        assert field.case.sum() == pytest.approx(1)
        assert field.attention.sum() == pytest.approx(1)
        assert (field.attention > 0).all()


@given(st.integers(0, 2**31))
def test_the_order_of_tiles_does_not_matter_and_equal_tiles_are_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4, 16)).astype(np.float32)
    head = mil_head.head(mil_head.TRAINED, 16)
    one, other = head.read(rows), head.read(rows[[2, 0, 3, 1]])
    twice, single = head.read(np.repeat(rows[:1], 3, axis=0)), head.read(rows[:1])
    for name in mil_head.TRAINED:
        np.testing.assert_allclose(one[name].case, other[name].case, atol=1e-12)
        np.testing.assert_allclose(twice[name].case, single[name].case, atol=1e-12)
        np.testing.assert_allclose(twice[name].attention, 1 / 3)


def test_tiles_far_from_those_of_training_are_counted() -> None:
    head = mil_head.head(mil_head.TRAINED, 16)
    near, far = np.zeros((3, 16), np.float32), np.full((1, 16), 5.0, np.float32)
    assert head.strange(near) == 0
    assert head.strange(np.concatenate([near, far])) == 0.25


@pytest.mark.parametrize("how", ["cut", "changed", "gone", "lacking"])
def test_damaged_weights_are_refused(tmp_path: Path, how: str) -> None:
    record = mil_head.write(tmp_path)
    path = tmp_path / WEIGHTS
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[:-10])
    elif how == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "gone":
        path.unlink()
    else:
        record = record.model_copy(update={"members": 2})
    kind, words = {
        "gone": (CheckpointError, "cannot be read"),
        "lacking": (WeightsCorrupted, "lacks the tensor '1.gate.bias'"),
    }.get(how, (WeightsCorrupted, "is not the file that mil.json names"))
    with pytest.raises(kind, match=words):
        read_head(tmp_path, record)
