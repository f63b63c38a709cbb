"""One answer for a case out of the answers for its patches.

Tables are averaged, weighted by tissue; nothing is voted on. How far the patches lie apart is
part of the answer, and where they do not agree the case has no class.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from immunopath.models.foundation.decoding.decoded import SlotReading

COVERAGE: Final = 0.9
MAX_DISAGREEMENT: Final = 0.34
"""Above this share of patches with another class the case has none; the same limit as rule D-11."""


@dataclass(frozen=True)
class CaseReading:
    """One field of a case.

    probabilities: weighted mean over patches, sum 1; value: the most probable value, or the median
    of a number; interval: of a number, 5th to 95th percentile of the mean table; spread: weighted
    mean total variation distance of the patches' tables from it; effective: (sum of weights)² over
    sum of squares; disagreement: share of patches whose own call differs, None for one patch;
    off_schema, unknown: weighted means, None when no full head was read.
    """

    probabilities: Mapping[str, float]
    value: str | float
    interval: tuple[float, float] | None
    spread: float
    effective: float
    disagreement: float | None
    off_schema: float | None
    unknown: float | None


def aggregate(
    readings: Sequence[SlotReading],
    weights: Sequence[float],
    *,
    number: bool,
    classify: Callable[[float], str] | None = None,
) -> CaseReading:
    """Return the case's reading of one field from those of its patches.

    `weights` are positive. `classify` turns a number into the class by which patches are compared;
    without it a patch differs when its median lies outside the case's interval.
    """
    tables = [reading.probabilities for reading in readings]
    table = _mean_table(tables, weights)
    total = sum(weights)
    if number:
        value: str | float = quantile(table, 0.5)
        interval = (quantile(table, (1 - COVERAGE) / 2), quantile(table, (1 + COVERAGE) / 2))
        differ = [_differs(quantile(own, 0.5), float(value), interval, classify) for own in tables]
    else:
        value, interval = best(table), None
        differ = [best(own) != value for own in tables]
    distances = [total_variation(own, table) for own in tables]
    return CaseReading(
        probabilities=table,
        value=value,
        interval=interval,
        spread=_clip(sum(w * d for w, d in zip(weights, distances, strict=True)) / total),
        effective=total**2 / sum(w * w for w in weights),
        disagreement=sum(differ) / len(differ) if len(differ) > 1 else None,
        off_schema=_mean([reading.off_schema_mass for reading in readings], weights),
        unknown=_mean([reading.unknown_mass for reading in readings], weights),
    )


def best(table: Mapping[str, float]) -> str:
    """Return the most probable value; the first one listed of equals."""
    return max(table, key=lambda value: table[value])


def quantile(table: Mapping[str, float], level: float) -> float:
    """Return the least number whose cumulated probability reaches `level`.

    `table`: probability by the number's text, in ascending order, sum 1.
    """
    reached = 0.0
    last = 0.0
    for text, probability in table.items():
        last = float(text)
        reached += probability
        if reached >= level - 1e-9:
            return last
    return last


def total_variation(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return half the sum of absolute differences of two tables: 0 equal, 1 disjoint."""
    keys = one.keys() | other.keys()
    return _clip(0.5 * sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in sorted(keys)))


def _mean_table(
    tables: Sequence[Mapping[str, float]], weights: Sequence[float]
) -> dict[str, float]:
    keys = list(tables[0])
    sums = {
        key: sum(w * table[key] for w, table in zip(weights, tables, strict=True)) for key in keys
    }
    total = sum(sums.values())
    return {key: value / total for key, value in sums.items()}


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    if len(pairs) < len(values) or not pairs:
        return None
    return _clip(sum(v * w for v, w in pairs) / sum(w for _, w in pairs))


def _differs(
    own: float,
    case: float,
    interval: tuple[float, float],
    classify: Callable[[float], str] | None,
) -> bool:
    if classify is not None:
        return classify(own) != classify(case)
    return not interval[0] <= own <= interval[1]


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
