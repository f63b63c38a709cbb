"""Metrics of number fields, for all resamples at once (see `resample`).

Points are compared with the best constant *in hindsight*: the median of the very truths that are
scored, in every resample its own. So no constant has a skill above 0.
"""

from typing import Final

import numpy as np

from immunopath.training.evaluation.class_metrics import weighted_mean
from immunopath.training.evaluation.resample import Floats, weighted_midranks

_FLAT: Final = 1e-12


def mae(truth: Floats, value: Floats, weights: Floats) -> Floats:
    """Return the mean absolute error."""
    return weighted_mean(np.abs(value - truth), weights)


def constant_mae(truth: Floats, weights: Floats) -> Floats:
    """Return the mean absolute error of the best constant, the median of the truth."""
    order = np.argsort(truth, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    middle = (reached >= reached[:, -1:] / 2 - 1e-9).argmax(axis=1)
    medians = truth[order][middle]
    apart = np.abs(truth[None, :] - medians[:, None])
    return np.asarray((weights * apart).sum(axis=1) / weights.sum(axis=1))


def mae_skill(truth: Floats, value: Floats, weights: Floats) -> Floats:
    """Return 1 - MAE / MAE of the best constant: 0 no better than it, 1 perfect, may be negative.

    NaN where the truth itself is constant.
    """
    best = constant_mae(truth, weights)
    return _over(best - mae(truth, value, weights), best)


def r_squared(truth: Floats, value: Floats, weights: Floats) -> Floats:
    """Return 1 - squared error / variance of the truth (mean of the resample as its constant)."""
    error = weighted_mean((value - truth) ** 2, weights)
    spread = _moments(truth, truth, weights)
    return _over(spread - error, spread)


def pearson(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Return Pearson's correlation; 0 where the predictions are constant, NaN where the truth is.

    `one` is the truth; both (n,) or (rows, n).
    """
    covered = _moments(one, other, weights)
    of_one, of_other = _moments(one, one, weights), _moments(other, other, weights)
    found = _over(covered, np.sqrt(of_one * of_other))
    found = np.where(of_other <= _FLAT, 0.0, found)
    return np.where(of_one <= _FLAT, np.nan, np.clip(found, -1.0, 1.0))


def spearman(truth: Floats, value: Floats, weights: Floats) -> Floats:
    """Return Spearman's rank correlation, ties at middle ranks; conventions as in `pearson`."""
    return pearson(weighted_midranks(truth, weights), weighted_midranks(value, weights), weights)


def is_flat(value: Floats) -> bool:
    """Return whether predictions are all the same."""
    return bool(np.ptp(value) <= _FLAT) if len(value) else True


def _moments(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Return the covariance (population form) of two values in every resample."""
    total = weights.sum(axis=1)
    mean_one = (weights * one).sum(axis=1) / total
    mean_other = (weights * other).sum(axis=1) / total
    apart = (one - mean_one[:, None]) * (other - mean_other[:, None])
    return np.asarray((weights * apart).sum(axis=1) / total)


def _over(above: Floats, below: Floats) -> Floats:
    found = np.full(below.shape, np.nan)
    np.divide(above, below, out=found, where=below > _FLAT)
    return found
