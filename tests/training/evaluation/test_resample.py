"""Bootstrap intervals."""

import numpy as np
import pytest
from scipy import stats

from immunopath.training.evaluation.class_metrics import weighted_mean
from immunopath.training.evaluation.resample import (
    Plan,
    estimate,
    over_rows,
    resamples,
    weighted_midranks,
)


def test_row_0_counts_everybody_once_and_every_row_draws_n() -> None:
    found = resamples(7, Plan(draws=50, seed=1))
    assert found.shape == (51, 7)
    assert (found[0] == 1).all()
    assert (found.sum(axis=1) == 7).all()
    assert (found == resamples(7, Plan(draws=50, seed=1))).all()
    assert (found != resamples(7, Plan(draws=50, seed=2))).any()


def test_the_interval_holds_the_point_and_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for seed in range(400):
        values = rng.normal(0.3, 1.0, 100)
        found = estimate(weighted_mean(values, resamples(100, Plan(draws=300, seed=seed))))
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.3 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_an_interval_needs_enough_resamples() -> None:
    nan = np.nan
    assert estimate(np.array([0.5, nan, nan, nan, 0.4])).low is None
    assert estimate(np.array([0.5, 0.6, nan, 0.4, 0.4])).low is not None


def test_a_centred_interval_takes_the_bias_of_resampling_out() -> None:
    found = estimate(np.array([0.1, 0.2, 0.3, 0.4]), centred=True, floor=0.0)
    assert found.low == pytest.approx(0.005)
    assert found.high == pytest.approx(0.195)


def test_ranks_in_a_resample_are_those_of_the_repeated_sample() -> None:
    values = np.array([0.3, 0.1, 0.3, 0.9, 0.2])
    weights = resamples(5, Plan(draws=20, seed=4))
    ranks = weighted_midranks(values, weights)
    for row, w in enumerate(weights):
        idx = np.repeat(np.arange(5), w.astype(int))
        assert ranks[row][idx] + 0.5 == pytest.approx(stats.rankdata(values[idx]))


def test_slices_change_nothing() -> None:
    weights = resamples(3000, Plan(draws=900, seed=0))
    values = np.random.default_rng(0).random(3000)
    whole = weighted_mean(values, weights)
    assert over_rows(lambda w: weighted_mean(values, w), weights) == pytest.approx(whole)
