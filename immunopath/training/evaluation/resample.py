"""Patient bootstrap: every metric is computed for all resamples at once.

A resample is a row of counts, how often each patient was drawn. Row 0 counts every patient once:
the point estimate comes out of the same code as the interval. All metrics here take such a matrix
``weights`` of shape (rows, n) and return one number per row, NaN where a row does not define it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.base import Frozen

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DRAWS: Final = 1000
SEED: Final = 20261128
LEVEL: Final = 0.95
LEAST_DRAWS: Final = 0.5
"""Share of resamples that must define a metric; with fewer there is no interval."""
_CELLS: Final = 2_000_000


@dataclass(frozen=True)
class Plan:
    """How intervals are made: number of resamples and the seed that fixes them."""

    draws: int = DRAWS
    seed: int = SEED


DEFAULT: Final = Plan()


class Estimate(Frozen):
    """A metric with its percentile bootstrap interval (95 %, patients are the units).

    low, high: None where too few resamples define the metric; constant: a correlation whose
    predictions are all the same, which is 0 by convention and not by measurement.
    """

    value: float
    low: float | None = None
    high: float | None = None
    constant: bool = False


@lru_cache(maxsize=4)
def resamples(n: int, plan: Plan = DEFAULT) -> Floats:
    """Return the counts of `plan.draws` resamples of `n` patients, (draws + 1, n), row 0 ones.

    The array is shared and read-only.
    """
    rng = np.random.default_rng(plan.seed)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=plan.draws).astype(np.float64)
    found = np.vstack([np.ones((1, n)), counts])
    found.setflags(write=False)
    return found


def over_rows(metric: Callable[[Floats], Floats], weights: Floats) -> Floats:
    """Return `metric` of all rows, computed in slices that bound its memory."""
    step = max(1, _CELLS // max(1, weights.shape[1]))
    parts = [metric(weights[i : i + step]) for i in range(0, len(weights), step)]
    return np.concatenate(parts)


def estimate(values: Floats, *, centred: bool = False, floor: float | None = None) -> Estimate:
    """Return the estimate of a metric; `values`: one per row of `resamples`, row 0 the point.

    `centred` moves the interval by the bootstrap's own bias (ECE of a resample is larger than that
    of the sample, because ties look like miscalibration); `floor` bounds it below.
    """
    point, drawn = float(values[0]), values[1:]
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < max(1.0, LEAST_DRAWS * (len(values) - 1)):
        return Estimate(value=point)
    if centred:
        drawn = drawn - (drawn.mean() - point)
    low, high = (float(q) for q in np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    if floor is not None:
        low, high = max(low, floor), max(high, floor)
    return Estimate(value=point, low=low, high=high)


def estimates(rows: Mapping[str, Floats], *, centred: tuple[str, ...] = ()) -> dict[str, Estimate]:
    """Return the estimates of metrics whose point is defined; the others are left out."""
    return {
        name: estimate(values, centred=name in centred, floor=0.0 if name in centred else None)
        for name, values in rows.items()
        if np.isfinite(values[0])
    }


def weighted_midranks(values: Floats, weights: Floats) -> Floats:
    """Return the middle rank of every patient in every resample, (rows, n), up to a constant.

    Patients with the same value share a rank. That of a patient drawn no time is harmless: its
    weight is 0 wherever ranks are summed.
    """
    order = np.argsort(values, kind="stable")
    _, group = np.unique(values, return_inverse=True)
    ends = np.flatnonzero(np.diff(group[order], append=group.max() + 1))
    reached = np.cumsum(weights[:, order], axis=1)[:, ends]
    below = np.concatenate([np.zeros((len(weights), 1)), reached[:, :-1]], axis=1)
    ranks: Floats = (below + reached)[:, group] / 2
    return ranks
