"""Sets and intervals hold the truth as often as they say."""

import numpy as np
import pytest
from calibration_cases import answered, categories
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.calibration_math import CELLS, members
from immunopath.training.calibration.conformal import held, quantile_of, set_threshold
from immunopath.training.calibration.fit import FitOptions, fit_field

few = settings(max_examples=40, deadline=None)
SEEDS = 20
METHODS = [
    ("cd274_expression", "lac", "cqr", 0.9),
    ("tme_subtype", "lac", "cqr", 0.8),
    ("tme_subtype", "lac", "cqr", 0.9),
    ("tme_subtype", "aps", "cqr", 0.9),
    ("immune_phenotype", "aps", "cqr", 0.8),
    ("til_fraction", "lac", "cqr", 0.9),
    ("til_fraction", "lac", "residual", 0.8),
]


@given(st.integers(1, 300), st.floats(0.5, 0.99))
def test_the_quantile_covers_at_least_what_it_promises(n: int, coverage: float) -> None:
    """Of n + 1 exchangeable scores the last lies at or below the quantile in so many places."""
    scores = np.arange(1, n + 1) / (n + 2)
    threshold = quantile_of(scores, coverage)
    places = 1 + (scores < threshold).sum() if threshold < 1 else n + 1
    assert places / (n + 1) >= coverage - 1e-6


def test_too_few_cases_hold_everything() -> None:
    assert quantile_of(np.array([0.1, 0.2, 0.3]), 0.9) == 1.0
    assert quantile_of(np.linspace(0.1, 0.9, 9), 0.9) == 0.9


@pytest.mark.parametrize(("field", "sets", "intervals", "coverage"), METHODS)
def test_coverage_is_within_three_points_over_twenty_seeds(
    field: str, sets: str, intervals: str, coverage: float
) -> None:
    options = FitOptions.model_validate(
        {"coverage": coverage, "sets": sets, "intervals": intervals}
    )
    shares = []
    for seed in range(SEEDS):
        entry = fit_field(answered(field, 200, seed), options)
        fresh = answered(field, 400, 1000 + seed)
        assert fresh.table is not None
        shares.append(held(entry, fresh.table, fresh.truth)[0].mean())
    assert coverage - 0.02 <= np.mean(shares)
    # A field that is right more often than promised covers more: its sets are never empty.
    right = (fresh.table.argmax(axis=1) == fresh.truth).mean() if FIELD_VALUES[field] else 0
    assert np.mean(shares) <= max(coverage, right) + 0.03


@few
@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from(["lac", "aps"]),
       st.floats(0.5, 0.95))  # fmt: skip
def test_the_cases_of_the_threshold_itself_are_covered(
    seed: int, k: int, method: str, coverage: float
) -> None:
    rows, truth = categories(60, k, seed, 2.0)
    codes = truth.astype(int)
    inside = members(rows, method, set_threshold(rows, codes, method, coverage))
    assert inside[np.arange(60), codes].mean() >= coverage
    assert inside.any(axis=1).all()


def test_sets_grow_with_the_coverage() -> None:
    fresh = answered("tme_subtype", 500, 99)
    assert fresh.table is not None
    sizes = []
    for coverage in (0.6, 0.8, 0.95):
        entry = fit_field(answered("tme_subtype", 500, 1), FitOptions(coverage=coverage))
        sizes.append(held(entry, fresh.table, fresh.truth)[1].mean())
    assert sizes[0] < sizes[1] < sizes[2]


def test_what_is_measured_is_what_is_served() -> None:
    for field in ("tme_subtype", "til_fraction"):
        entry = fit_field(answered(field, 200, 1), FitOptions())
        fresh = answered(field, 30, 2)
        assert fresh.table is not None
        inside, sizes = held(entry, fresh.table, fresh.truth)
        names = FIELD_VALUES[field] or tuple(f"{cell:.2f}" for cell in CELLS)
        for row, truth, hit, size in zip(fresh.table, fresh.truth, inside, sizes, strict=True):
            served = entry.apply(dict(zip(names, row.tolist(), strict=True)))
            if served.interval is not None:
                low, high = served.interval
                assert hit == (low <= truth <= high)
                assert size == pytest.approx(high - low)
            else:
                assert served.prediction_set is not None
                assert hit == (names[int(truth)] in served.prediction_set)
                assert size == len(served.prediction_set)
