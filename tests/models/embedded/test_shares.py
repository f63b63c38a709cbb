import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.intervals import wilson
from immunopath.models.embedded.classifier import Correction, shipped
from immunopath.models.embedded.shares import (
    DRAWS,
    corrected,
    estimate_share,
    table_of,
)

FIX = shipped().constants.correction
EXACT = Correction(floor=0, ceiling=1, floor_sd=0, ceiling_sd=0, source="identity")

blocks = st.lists(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=40,
)


def _arrays(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    lym, every = np.array(pairs, float).T
    return lym, every


@given(blocks)
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_value_and_stays_in_range(pairs: list[tuple[int, int]]) -> None:
    share = estimate_share(*_arrays(pairs), FIX)
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1
    assert 0 <= share.raw <= 1


@given(blocks)
@settings(max_examples=60, deadline=None)
def test_the_interval_is_never_narrower_than_the_sampling_error(
    pairs: list[tuple[int, int]],
) -> None:
    lym, every = _arrays(pairs)
    share = estimate_share(lym, every, FIX)
    low, high = wilson(int(lym.sum()), int(every.sum()))
    assert share.interval[0] <= max(0, share.value - (share.raw - low)) + 1e-12
    assert share.interval[1] >= min(1, share.value + (high - share.raw)) - 1e-12


@given(blocks)
@settings(max_examples=30, deadline=None)
def test_an_uncertain_correction_never_moves_the_value(pairs: list[tuple[int, int]]) -> None:
    lym, every = _arrays(pairs)
    sure = FIX.model_copy(update={"floor_sd": 0.0, "ceiling_sd": 0.0})
    assert estimate_share(lym, every, FIX).value == estimate_share(lym, every, sure).value


def test_the_correction_widens_the_interval() -> None:
    lym, every = np.full(20, 20.0), np.full(20, 50.0)
    sure = FIX.model_copy(update={"floor_sd": 0.0, "ceiling_sd": 0.0})
    width = [np.ptp(estimate_share(lym, every, c).interval) for c in (sure, FIX)]
    assert width[1] > 1.5 * width[0]


def test_clustered_lymphocytes_have_a_wider_interval_than_mixed_ones() -> None:
    every = np.full(20, 100.0)
    mixed = estimate_share(np.full(20, 50.0), every, EXACT)
    clustered = estimate_share(np.repeat([0.0, 100.0], 10), every, EXACT)
    assert mixed.raw == clustered.raw == 0.5
    assert np.ptp(clustered.interval) > 3 * np.ptp(mixed.interval)


def test_none_of_ten_is_not_known_to_be_zero() -> None:
    assert estimate_share(np.zeros(1), np.array([10.0]), EXACT).interval[1] > 0.15


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_correction_keeps_the_order(a: float, b: float) -> None:
    x, y = corrected(np.array([min(a, b), max(a, b)]), FIX.floor, FIX.ceiling)
    assert 0 <= x <= y <= 1


def test_the_ends_of_the_correction() -> None:
    values = corrected(np.array([0.0, FIX.floor, 0.5, FIX.ceiling, 1.0]), FIX.floor, FIX.ceiling)
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1], atol=1e-9)


def test_the_same_counts_give_the_same_bytes() -> None:
    lym, every = np.arange(12.0), np.full(12, 30.0)
    first, second = (estimate_share(lym, every, FIX) for _ in range(2))
    assert first.draws.tobytes() == second.draws.tobytes()
    assert first.interval == second.interval
    assert first.draws.shape == (DRAWS,)


def test_no_nucleus_has_no_share() -> None:
    with pytest.raises(ValueError, match="at least one nucleus"):
        estimate_share(np.zeros(3), np.zeros(3), FIX)


@given(st.lists(st.sampled_from(["a", "b"]), max_size=50))
def test_a_table_of_draws_sums_to_one_and_excludes_nothing(labels: list[str]) -> None:
    table = table_of(np.array(labels, dtype="<U1"), ("a", "b", "c"))
    assert sum(table.values()) == pytest.approx(1)
    assert min(table.values()) > 0
