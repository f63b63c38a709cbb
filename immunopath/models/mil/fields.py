"""The eight fields of a case as a MIL head answers them, with every reason for silence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from immunopath.domain.prediction import FIELD_VALUES, GRID, BiomarkerProfile, FieldPrediction
from immunopath.domain.provenance import Provenance
from immunopath.models.foundation.medgemma.aggregate import COVERAGE, best, quantile
from immunopath.models.mil.network import F64, FieldTables
from immunopath.models.mil.record import MilRecord

DECIMALS: Final = 6
NO_TILES: Final = "no tile could be shown"


@dataclass(frozen=True)
class CaseFacts:
    """What every field of one result carries."""

    record: MilRecord
    n_tiles: int
    qc_pass: bool
    ood_score: float | None
    source: Provenance


def build_profile(found: Mapping[str, FieldTables], facts: CaseFacts) -> BiomarkerProfile:
    """Return the profile of a case; fields without tables abstain with their reason."""
    fields: dict[str, Any] = {key: _field(key, found.get(key), facts) for key in FIELD_VALUES}
    return BiomarkerProfile(**fields)


def table_of(key: str, probabilities: F64) -> dict[str, float]:
    """Return probabilities by value (contract order) or by grid point, rounded, sum 1."""
    names = FIELD_VALUES[key] or GRID
    whole = probabilities / probabilities.sum()
    return {name: round(float(p), DECIMALS) for name, p in zip(names, whole, strict=True)}


def value_of(key: str, table: Mapping[str, float]) -> str | float:
    """Return the most probable value, or the median of a number's table."""
    return quantile(table, 0.5) if FIELD_VALUES[key] is None else best(table)


def silence(key: str, record: MilRecord) -> str:
    """Return why a field has no value, or an empty string."""
    field = record.fields[key]
    return "" if field.trainable else f"The head was not trained for this field: {field.reason}."


def _field(
    key: str, found: FieldTables | None, facts: CaseFacts
) -> FieldPrediction[str] | FieldPrediction[float]:
    number = FIELD_VALUES[key] is None
    kind: Any = FieldPrediction[float] if number else FieldPrediction[str]
    shared: dict[str, Any] = {
        "quantity": facts.record.fields[key].quantity,
        "n_tiles": facts.n_tiles,
        "qc_pass": facts.qc_pass,
        "ood_score": facts.ood_score,
        "source": facts.source,
    }
    if found is None:
        reason = silence(key, facts.record) or NO_TILES
        silent: FieldPrediction[str] = kind(**shared, value=None, abstained=True, reason=reason)
        return silent
    table = table_of(key, found.case)
    value = value_of(key, table)
    distances = 0.5 * np.abs(found.tiles - found.case).sum(axis=1)
    several = len(found.attention) > 1
    built: FieldPrediction[str] | FieldPrediction[float] = kind(
        **shared,
        value=value,
        probabilities=table,
        interval=_interval(table) if number else None,
        coverage=COVERAGE if number else None,
        tile_disagreement=_disagreement(key, found, value, facts.record) if several else None,
        effective_tiles=round(effective(found.attention), 4),
        spread=round(min(float(found.attention @ distances), 1.0), DECIMALS),
        abstained=False,
    )
    return built


def _interval(table: Mapping[str, float]) -> tuple[float, float]:
    return quantile(table, (1 - COVERAGE) / 2), quantile(table, (1 + COVERAGE) / 2)


def effective(attention: F64) -> float:
    """Return how many equally weighted tiles carry as much: 1 over the sum of squares."""
    return float(1 / np.square(attention).sum())


def _disagreement(key: str, found: FieldTables, value: str | float, record: MilRecord) -> float:
    """Return the share of tiles whose own call differs from the case's.

    A number is compared by density class where cut points are known, else by the case's interval.
    """
    if isinstance(value, str):
        order = (FIELD_VALUES[key] or ()).index(value)
        return float(np.mean(found.tiles.argmax(axis=1) != order))
    reached = found.tiles.cumsum(axis=1)
    medians = (reached < 0.5 - 1e-9).sum(axis=1) / (len(GRID) - 1)
    cuts = record.cut_points
    if cuts is not None and key == "til_fraction":
        classify: Callable[[float], str] = cuts.density_class
        own = classify(value)
        return float(np.mean([classify(float(m)) != own for m in medians]))
    case = found.case.cumsum()
    low, high = ((case < level - 1e-9).sum() / (len(GRID) - 1) for level in (0.05, 0.95))
    return float(np.mean((medians < low) | (medians > high)))
