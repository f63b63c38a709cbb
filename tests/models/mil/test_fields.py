"""From tables to field predictions: values, intervals, agreement, silence."""

import mil_head
import numpy as np
import pytest

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.provenance import Provenance
from immunopath.models.mil.fields import NO_TILES, CaseFacts, build_profile, effective
from immunopath.models.mil.network import FieldTables


def facts(**changes: object) -> CaseFacts:
    values: dict[str, object] = {
        "record": mil_head.record(),
        "n_tiles": 3,
        "qc_pass": True,
        "ood_score": 0.25,
        "source": Provenance(engine="mil", revision="1"),
    }
    return CaseFacts(**(values | changes))  # type: ignore[arg-type]


def point(at: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.eye(101)[at]


def tables() -> dict[str, FieldTables]:
    attention = np.array([0.5, 0.25, 0.25])
    return {
        "til_fraction": FieldTables(
            0.04 * point(10) + 0.9 * point(40) + 0.06 * point(80),
            np.stack([point(40), point(50), point(80)]),
            attention,
        ),
        "til_density": FieldTables(
            np.array([0.2, 0.7, 0.1]),
            np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]),
            attention,
        ),
        "immune_phenotype": FieldTables(
            np.array([0.5, 0.3, 0.2]), np.array([[0.5, 0.3, 0.2]] * 3), attention
        ),
    }


def test_values_intervals_and_agreement_come_from_the_tables() -> None:
    profile = build_profile(tables(), facts())
    til = profile.til_fraction
    assert til.value == 0.40
    assert til.interval == (0.40, 0.80)
    assert til.coverage == 0.9
    assert til.probabilities is not None
    assert til.probabilities["0.40"] == pytest.approx(0.9)
    # Cut points 0.3 and 0.6: of 0.40, 0.50 and 0.80 the last is another class.
    assert til.tile_disagreement == pytest.approx(1 / 3)
    assert til.effective_tiles == pytest.approx(1 / (0.25 + 2 * 0.0625), abs=1e-3)
    density = profile.til_density
    assert density.value == "moderate"
    assert density.tile_disagreement == pytest.approx(1 / 3)
    assert density.spread == pytest.approx(0.5 * 0.2 + 0.25 * 0.6 + 0.25 * 0.0)
    assert profile.immune_phenotype.spread == 0
    assert (density.ood_score, density.n_tiles, density.calibrated) == (0.25, 3, False)


def test_without_cut_points_a_tile_differs_when_it_lies_outside_the_interval() -> None:
    bare = mil_head.record(cut_points=None)
    profile = build_profile(tables(), facts(record=bare))
    assert profile.til_fraction.tile_disagreement == 0  # 0.40, 0.50, 0.80 within 0.40 to 0.80


def test_a_field_that_was_not_trained_says_why() -> None:
    profile = build_profile(tables(), facts())
    for name in set(FIELD_VALUES) - set(mil_head.TRAINED):
        field = getattr(profile, name)
        assert field.abstained
        assert "not trained for this field: all 24 training labels are MSS" in field.reason
        assert field.probabilities is None


def test_no_tiles_is_an_abstention_everywhere() -> None:
    profile = build_profile({}, facts(n_tiles=0, ood_score=None))
    assert all(field.abstained for _, field in profile.items())
    assert profile.til_fraction.reason == NO_TILES


def test_one_tile_has_nothing_to_disagree_with() -> None:
    single = {
        name: FieldTables(found.case, found.tiles[:1], np.ones(1))
        for name, found in tables().items()
    }
    profile = build_profile(single, facts(n_tiles=1))
    assert profile.til_density.tile_disagreement is None
    assert profile.til_density.effective_tiles == 1


def test_the_effective_number_is_that_of_equal_weights() -> None:
    assert effective(np.full(7, 1 / 7)) == pytest.approx(7)
    assert effective(np.array([1.0, 0, 0])) == 1
