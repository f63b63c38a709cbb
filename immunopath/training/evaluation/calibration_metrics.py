"""How far probabilities can be believed: expected calibration error, reliability, CRPS, coverage.

Bins hold equal mass and never part patients of the same confidence, so that the order of patients
does not matter and a constant has one bin.
"""

from typing import Final

import numpy as np

from immunopath.domain.base import Frozen
from immunopath.models.calibration_math import CELLS, cells_at
from immunopath.training.evaluation.class_metrics import weighted_mean
from immunopath.training.evaluation.resample import Floats, Ints, weighted_midranks

BINS: Final = 10
LEVELS: Final = tuple(round(0.1 * k, 1) for k in range(1, 10))
"""Nominal levels of a number's reliability curve."""
COVERAGE: Final = 0.9
_STEP: Final = 0.01


class ReliabilityPoint(Frozen):
    """One bin of a reliability diagram: what was said, what came true, of how many patients."""

    said: float
    seen: float
    n: int


def confidence_of(truth: Ints, table: Floats) -> tuple[Floats, Floats]:
    """Return confidence and outcome per patient, the pair that calibration is judged by.

    Two classes: probability of the first and whether it is true. More: probability of the most
    probable class (the first of equals) and whether that is true.
    """
    if table.shape[1] == 2:
        return table[:, 0], (truth == 0).astype(np.float64)
    called = table.argmax(axis=1)
    return table[np.arange(len(table)), called], (called == truth).astype(np.float64)


def ece_rows(said: Floats, seen: Floats, weights: Floats, bins: int = BINS) -> Floats:
    """Return the expected calibration error of every resample: equal-mass bins, mean |gap|."""
    where = _bins(said, weights, bins)
    rows = np.arange(len(weights))[:, None] * bins
    flat = (rows + where).ravel()
    gap = np.bincount(flat, (weights * (said - seen)).ravel(), len(weights) * bins)
    return np.asarray(
        np.abs(gap).reshape(len(weights), bins).sum(axis=1) / weights.sum(axis=1), np.float64
    )


def ece(said: Floats, seen: Floats, bins: int = BINS) -> float:
    """Return the expected calibration error of one set; `said`, `seen` as in `confidence_of`."""
    return float(ece_rows(said, seen, np.ones((1, len(said))), bins)[0])


def ece_if_calibrated(
    table: Floats, *, seed: int, draws: int = 200, bins: int = BINS
) -> tuple[float, float]:
    """Return mean and 95th percentile of the ECE that this table has when it tells the truth.

    Whether each stated confidence comes true is drawn from it: what remains is the noise of n
    patients. `table`: (n, k), rows sum to 1.
    """
    said, _ = confidence_of(np.zeros(len(table), np.int64), table)
    rng = np.random.default_rng(seed)
    seen = (rng.random((draws, len(table))) < said).astype(np.float64)
    where = _bins(said, np.ones((1, len(table))), bins)[0]
    member = np.eye(bins)[where]
    found = np.abs((said - seen) @ member).sum(axis=1) / len(table)
    return float(found.mean()), float(np.quantile(found, 0.95))


def reliability(said: Floats, seen: Floats, bins: int = BINS) -> tuple[ReliabilityPoint, ...]:
    """Return the points of a reliability diagram in ascending order; empty bins are left out."""
    where = _bins(said, np.ones((1, len(said))), bins)[0]
    return tuple(
        ReliabilityPoint(
            said=float(said[where == b].mean()),
            seen=float(seen[where == b].mean()),
            n=int((where == b).sum()),
        )
        for b in range(bins)
        if (where == b).any()
    )


def crps(truth: Floats, table: Floats) -> Floats:
    """Return the continuous ranked probability score per patient; `table`: (n, 101) over the grid.

    The integral of (F(x) - [truth <= x])² over [0, 1], exact for a truth between grid points; for
    a point mass it is the absolute error.
    """
    reached = np.cumsum(table, axis=1)[:, :-1]
    left, right = CELLS[:-1], CELLS[1:]
    before = np.clip((truth[:, None] - left) / (right - left), 0.0, 1.0)
    squares = before * reached**2 + (1 - before) * (reached - 1) ** 2
    return np.asarray(squares.sum(axis=1) * _STEP)


def covered(truth: Floats, table: Floats, coverage: float = COVERAGE) -> tuple[Floats, Floats]:
    """Return, per patient, whether the central interval holds the truth, and its width.

    Numbers are said to two decimals, so half a hundredth on either side belongs to the interval.
    """
    low, high = cells_at(table, (1 - coverage) / 2), cells_at(table, (1 + coverage) / 2)
    inside = (truth >= low - _STEP / 2 - 1e-9) & (truth <= high + _STEP / 2 + 1e-9)
    return inside.astype(np.float64), high - low


def number_reliability(truth: Floats, table: Floats) -> tuple[ReliabilityPoint, ...]:
    """Return how often the truth lies at or below each stated quantile."""
    return tuple(
        ReliabilityPoint(said=level, seen=float(below(truth, table, level).mean()), n=len(truth))
        for level in LEVELS
    )


def quantile_error(truth: Floats, table: Floats, weights: Floats) -> Floats:
    """Return the calibration error of a number: mean |share below a quantile - its level|."""
    gaps = [np.abs(weighted_mean(below(truth, table, u), weights) - u) for u in LEVELS]
    return np.asarray(np.mean(gaps, axis=0))


def below(truth: Floats, table: Floats, level: float) -> Floats:
    """Return, per patient, how far the truth's probability integral transform is below `level`.

    0 above, 1 below, in between where the mass of the truth's own hundredth spans the level (the
    non-randomised transform of Czado, Gneiting and Held 2009), so that the mean over patients is
    `level` for a calibrated table however coarse it is.
    """
    own = np.clip(np.round(truth / _STEP), 0, len(CELLS) - 1).astype(np.int64)
    rows = np.arange(len(truth))
    mass = table[rows, own]
    start = np.cumsum(table, axis=1)[rows, own] - mass
    return np.asarray(np.clip((level - start) / np.maximum(mass, 1e-9), 0.0, 1.0))


def _bins(said: Floats, weights: Floats, bins: int) -> Ints:
    """Return the bin of every patient in every resample, (rows, n), by weighted middle rank."""
    share = weighted_midranks(said, weights) / weights.sum(axis=1, keepdims=True)
    return np.asarray(np.clip(share * bins, 0, bins - 1), np.int64)
