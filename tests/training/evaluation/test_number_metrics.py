"""Metrics of numbers against scipy and scikit-learn, alone and in resamples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from immunopath.training.evaluation import number_metrics as ours
from immunopath.training.evaluation.resample import Floats, Plan, resamples


def drawn(seed: int = 0, n: int = 70) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    truth = np.round(rng.random(n), 1)  # many ties
    return truth, np.round(np.clip(truth + rng.normal(0, 0.3, n), 0, 1), 2)


def test_every_row_is_what_scipy_says_of_that_resample() -> None:
    truth, value = drawn()
    weights = resamples(len(truth), Plan(draws=15, seed=3))
    for row, w in enumerate(weights):
        idx = np.repeat(np.arange(len(w)), w.astype(int))
        t, v = truth[idx], value[idx]
        best = np.abs(t - np.median(t)).mean()
        pairs = [
            (ours.spearman, stats.spearmanr(t, v).statistic),
            (ours.pearson, stats.pearsonr(t, v).statistic),
            (ours.mae, sk.mean_absolute_error(t, v)),
            (ours.r_squared, sk.r2_score(t, v)),
            (ours.mae_skill, 1 - sk.mean_absolute_error(t, v) / best),
        ]
        for mine, theirs in pairs:
            assert mine(truth, value, weights)[row] == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=3, max_size=40), st.integers(0, 100))
def test_no_constant_has_skill_and_the_median_has_none(cents: list[int], other: int) -> None:
    truth = np.array(cents) / 100
    if np.ptp(truth) == 0:
        return
    one = np.ones((1, len(truth)))
    median, any_other = np.full(len(truth), np.median(truth)), np.full(len(truth), other / 100)
    assert ours.mae_skill(truth, median, one)[0] == pytest.approx(0.0, abs=1e-9)
    assert ours.mae_skill(truth, any_other, one)[0] <= 1e-9
    assert ours.r_squared(truth, any_other, one)[0] <= 1e-9
    assert ours.spearman(truth, any_other, one)[0] == 0.0


def test_a_constant_truth_has_no_correlation_and_no_skill() -> None:
    truth, value = np.full(4, 0.3), np.array([0.1, 0.2, 0.3, 0.4])
    one = np.ones((1, 4))
    for metric in (ours.spearman, ours.pearson, ours.mae_skill, ours.r_squared):
        assert np.isnan(metric(truth, value, one)[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_patients_does_not_matter(seed: int) -> None:
    truth, value = drawn(seed, 25)
    order = np.random.default_rng(seed).permutation(25)
    one = np.ones((1, 25))
    for metric in (ours.spearman, ours.pearson, ours.mae, ours.mae_skill, ours.r_squared):
        assert metric(truth, value, one) == pytest.approx(metric(truth[order], value[order], one))
