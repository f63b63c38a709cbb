"""What ``benchmarks/adaptive.py`` says of one way of choosing regions: means over slides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """How one slide ended under one way of choosing.

    first: regions of the first round; regions: read at the end; error: of the value; covered:
    whether the interval holds the truth; hot: whether a hot place was read, hot_first: in the first
    round; pool_error: of the share in the plain pool of all regions read, pool_error_first: of
    those of the first round.
    """

    first: int
    regions: int
    reached: bool
    width: float
    error: float
    covered: bool
    hot: bool
    hot_first: bool
    pool_error: float
    pool_error_first: float


def summary(rows: Sequence[Outcome], most: int) -> dict[str, object]:
    """Return means with 90 % intervals; slides that ended too wide count with `most` regions."""
    needed = [_needed(row, most) for row in rows]
    return {
        "regions_needed": mean_of(needed),
        "tiles_needed": round(4 * float(np.mean(needed)), 1),
        "reached": mean_of([row.reached for row in rows]),
        "regions_first": mean_of([row.first for row in rows]),
        "regions_read": mean_of([row.regions for row in rows]),
        "width_at_end": mean_of([row.width for row in rows]),
        "coverage": mean_of([row.covered for row in rows]),
        "hot_read": mean_of([row.hot for row in rows]),
        "hot_read_first": mean_of([row.hot_first for row in rows]),
        "bias": mean_of([row.error for row in rows]),
        "mean_abs_error": mean_of([abs(row.error) for row in rows]),
        "bias_of_plain_pool": mean_of([row.pool_error for row in rows]),
        "bias_of_plain_pool_first": mean_of([row.pool_error_first for row in rows]),
    }


def against(rows: Sequence[Outcome], uniform: Sequence[Outcome], most: int) -> dict[str, object]:
    """Return by how many regions a way needs fewer than uniform sampling of the same slides."""
    met = [n for n, row in enumerate(uniform) if row.hot_first]
    found: dict[str, object] = {"regions_saved": mean_of(saved(rows, uniform, most))}
    if met:
        here, there = [rows[n] for n in met], [uniform[n] for n in met]
        found["met_by_evenly_spread"] = {
            "regions_needed": mean_of([_needed(row, most) for row in here]),
            "regions_saved": mean_of(saved(here, there, most)),
            "coverage": mean_of([row.covered for row in here]),
        }
    return found


def saved(one: Sequence[Outcome], two: Sequence[Outcome], most: int) -> list[int]:
    """Return by how many regions the first way needs fewer, slide by slide."""
    return [_needed(b, most) - _needed(a, most) for a, b in zip(one, two, strict=True)]


def mean_of(values: Sequence[float]) -> list[float]:
    """Return mean and its 90 % bootstrap interval over slides."""
    rng, data = np.random.default_rng(0), np.asarray(values, float)
    draws = data[rng.integers(0, len(data), (1000, len(data)))].mean(axis=1)
    return [round(float(v), 4) for v in (data.mean(), *np.quantile(draws, [0.05, 0.95]))]


def _needed(row: Outcome, most: int) -> int:
    return row.regions if row.reached else most
