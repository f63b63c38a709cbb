"""Metrics of fields with classes, for all resamples at once (see `resample`)."""

from typing import Final

import numpy as np

from immunopath.training.evaluation.resample import Floats, Ints

LEAST: Final = 1e-6
"""Probabilities below this count as this in the log loss."""


def confusion(truth: Ints, called: Ints, k: int, weights: Floats) -> Floats:
    """Return confusion matrices, shape (rows, k, k): row = truth, column = call."""
    cell = np.zeros((len(truth), k * k))
    cell[np.arange(len(truth)), truth * k + called] = 1.0
    table: Floats = (weights @ cell).reshape(len(weights), k, k)
    return table


def accuracy(table: Floats) -> Floats:
    """Return the share of right calls; `table` as from `confusion`."""
    return share(np.trace(table, axis1=1, axis2=2), table.sum(axis=(1, 2)))


def balanced_accuracy(table: Floats) -> Floats:
    """Return the mean recall over the classes that occur in the truth."""
    recalls = share(np.diagonal(table, axis1=1, axis2=2), table.sum(axis=2))
    return _mean_known(recalls)


def macro_f1(table: Floats) -> Floats:
    """Return the mean F1 over the classes that occur in truth or calls."""
    right = np.diagonal(table, axis1=1, axis2=2)
    return _mean_known(share(2 * right, table.sum(axis=1) + table.sum(axis=2)))


def auroc(positive: Ints, score: Floats, weights: Floats) -> Floats:
    """Return the area under the ROC curve: P(score of a positive > that of a negative), ties half.

    positive: 0 or 1 per patient. NaN where a resample lacks one of the two.
    """
    order = np.argsort(score, kind="stable")
    drawn, marked = weights[:, order], positive[order].astype(np.float64)
    ends = np.flatnonzero(np.diff(score[order], append=np.inf))
    ups = np.cumsum(drawn * marked, axis=1)[:, ends]
    downs = np.cumsum(drawn * (1 - marked), axis=1)[:, ends]
    zero = np.zeros((len(weights), 1))
    ups_here = np.diff(ups, axis=1, prepend=zero)
    downs_below = np.concatenate([zero, downs[:, :-1]], axis=1)
    wins = (ups_here * (downs_below + downs) / 2).sum(axis=1)
    return share(wins, ups[:, -1] * downs[:, -1])


def one_vs_rest(truth: Ints, table: Floats, weights: Floats) -> Floats:
    """Return the AUROC of each class against the rest, shape (rows, k); `table`: (n, k)."""
    columns = [
        auroc((truth == k).astype(np.int64), table[:, k], weights) for k in range(table.shape[1])
    ]
    return np.stack(columns, axis=1)


def macro_auroc(areas: Floats, truth: Ints, least: int = 1) -> Floats:
    """Return the mean AUROC over the classes that can be told apart in a resample.

    areas: as from `one_vs_rest`. Classes with fewer than `least` patients do not count: one
    patient's rank is no area. For two classes it is the usual AUROC of the first.
    """
    if areas.shape[1] == 2:
        return areas[:, 0]
    return _mean_known(areas[:, np.bincount(truth, minlength=areas.shape[1]) >= least])


def brier(truth: Ints, table: Floats, weights: Floats) -> Floats:
    """Return the Brier score.

    Two classes: mean of (p of the first - hit)², 0 to 1. More: summed over classes, 0 to 2.
    """
    hit = np.eye(table.shape[1])[truth]
    squares = (table - hit) ** 2
    own = squares[:, 0] if table.shape[1] == 2 else squares.sum(axis=1)
    return weighted_mean(own, weights)


def log_loss(truth: Ints, table: Floats, weights: Floats) -> Floats:
    """Return the mean negative natural logarithm of the true class's probability."""
    own = np.clip(table[np.arange(len(truth)), truth], LEAST, 1.0)
    return weighted_mean(-np.log(own), weights)


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Return the mean of per-patient values in every resample."""
    return share(weights @ values, weights.sum(axis=1))


def share(above: Floats, below: Floats) -> Floats:
    """Return the quotient; NaN where nothing is below."""
    found = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _mean_known(columns: Floats) -> Floats:
    """Return the mean over the columns that are no NaN; NaN where all are."""
    known = np.isfinite(columns)
    return share(np.where(known, columns, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))
