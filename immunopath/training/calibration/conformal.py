"""Sets and intervals that hold the truth with a stated probability (split conformal prediction).

The promise is marginal: over cases exchangeable with those of the conformal part, the truth lies
inside with at least the stated probability, whatever the model. It holds neither for a subgroup
nor for other scanners, sites or tile counts.
"""

import math

import numpy as np
from numpy.typing import NDArray

from immunopath.models.calibration import FieldCalibration
from immunopath.models.calibration_math import SLACK, Rows, ranges, scores
from immunopath.training.evaluation.resample import Floats, Ints


def quantile_of(found: Floats, coverage: float) -> float:
    """Return the ceil((n + 1) coverage)-th least score; 1, which holds everything, beyond the n-th.

    The finite-sample quantile of Vovk et al. 2005: with it the coverage is at least `coverage`.
    """
    place = math.ceil((len(found) + 1) * coverage - SLACK)
    return 1.0 if place > len(found) else float(np.sort(found)[place - 1])


def set_threshold(rows: Rows, truth: Ints, method: str, coverage: float) -> float:
    """Return the threshold of prediction sets: ``lac`` or ``aps``, in [0, 1]."""
    own = scores(rows, method)[np.arange(len(truth)), truth]
    return min(max(quantile_of(own, coverage), 0.0), 1.0)


def interval_margin(rows: Rows, truth: Floats, method: str, coverage: float) -> float:
    """Return what is added to both sides of a number's range, in [-1, 1]: ``cqr`` or ``residual``.

    Negative where the tables are wider than they need to be.
    """
    low, high = ranges(rows, method, coverage)
    return min(max(quantile_of(np.maximum(low - truth, truth - high), coverage), -1.0), 1.0)


def held(entry: FieldCalibration, rows: Rows, truth: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return whether each truth is in the set or interval served for its raw table, and the size.

    truth: class codes or numbers, (n,). Sizes are numbers of values or widths.
    """
    after = entry.corrected(rows)
    if entry.set_method in {"cqr", "residual"}:
        low, high = entry.intervals(after)
        return (truth >= low - SLACK) & (truth <= high + SLACK), high - low
    inside = entry.members(after)
    own = inside[np.arange(len(truth)), truth.astype(np.int64)]
    return own, inside.sum(axis=1).astype(np.float64)
