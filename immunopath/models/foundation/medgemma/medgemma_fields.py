"""The eight fields of a case as a language model answers them, with every reason for silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, overload

from immunopath.domain.errors import LogitsNotFinite
from immunopath.domain.prediction import FIELD_VALUES, BiomarkerProfile, FieldPrediction
from immunopath.domain.provenance import Provenance
from immunopath.models.foundation.decoding.decoded import (
    OFF_SCHEMA_LIMIT,
    DecodedAnswer,
    SlotReading,
)
from immunopath.models.foundation.medgemma.aggregate import (
    COVERAGE,
    MAX_DISAGREEMENT,
    CaseReading,
    aggregate,
)
from immunopath.models.foundation.medgemma.record import UNDECLARED, CheckpointRecord

RNA_QUANTITIES: Final = {
    "cd274_expression": "cd274_rna_median_split",
    "msi_status": "msi_call",
    "tme_subtype": "bagaev_class",
    "immune_phenotype": "til_and_cd8_rna_medians",
    "cd8_infiltration": "cd8_rna_score_class",
    "immune_score": "immune_rna_score_minmax",
}
"""What the labels of the published RNA targets were; `til_*` follow the record."""

DECIMALS: Final = 6
"""Of what is reported. Float32 sums differ from about there on with the size of a batch."""


@dataclass(frozen=True)
class CaseFacts:
    """What every field of one result carries; `weights`: one per answer."""

    record: CheckpointRecord
    weights: Sequence[float]
    qc_pass: bool
    source: Provenance
    n_tiles: int
    conditioning: str


def build_profile(answers: Sequence[DecodedAnswer], facts: CaseFacts) -> BiomarkerProfile:
    """Return the profile of a case out of one answer per prompt; none = eight abstentions."""
    by_key: dict[str, list[SlotReading]] = {key: [] for key in FIELD_VALUES}
    for answer in answers:
        for reading in answer.readings:
            by_key[reading.key].append(reading)
    fields: dict[str, Any] = {key: _field(key, by_key[key], facts) for key in FIELD_VALUES}
    return BiomarkerProfile(**fields)


def quantity_of(key: str, record: CheckpointRecord) -> str:
    """Return what stands behind a field; ``undeclared`` when the record says nothing."""
    if record.quantity == UNDECLARED:
        return UNDECLARED
    if key == "til_fraction":
        return record.quantity
    return f"{record.quantity}_class" if key == "til_density" else RNA_QUANTITIES[key]


def _field(
    key: str, readings: Sequence[SlotReading], facts: CaseFacts
) -> FieldPrediction[str] | FieldPrediction[float]:
    number = FIELD_VALUES[key] is None
    kind: Any = FieldPrediction[float] if number else FieldPrediction[str]
    shared: dict[str, Any] = {
        "quantity": quantity_of(key, facts.record),
        "n_tiles": facts.n_tiles,
        "qc_pass": facts.qc_pass,
        "source": facts.source,
    }
    if not readings:
        asked = key in facts.record.keys
        reason = "no tile could be shown" if asked else "the checkpoint is not asked for this field"
        silent: FieldPrediction[str] = kind(**shared, value=None, abstained=True, reason=reason)
        return silent
    cuts = facts.record.cut_points
    classify = cuts.density_class if cuts is not None and key == "til_fraction" else None
    case = aggregate(readings, facts.weights, number=number, classify=classify)
    _check_finite(case.probabilities)
    case = _rounded(case)
    reason = _silence(case, len(readings), number=number)
    followed = case.off_schema is None or case.off_schema <= OFF_SCHEMA_LIMIT
    built: FieldPrediction[str] | FieldPrediction[float] = kind(
        **shared,
        value=None if reason else case.value,
        probabilities=_ordered(key, case.probabilities) if followed else None,
        interval=case.interval if not reason else None,
        coverage=COVERAGE if case.interval is not None and not reason else None,
        tile_disagreement=case.disagreement,
        effective_tiles=case.effective,
        spread=case.spread,
        off_schema_mass=case.off_schema,
        unknown_mass=case.unknown,
        conditioning=facts.conditioning,
        abstained=bool(reason),
        reason=reason,
    )
    return built


@overload
def rounded(number: float) -> float: ...
@overload
def rounded(number: None) -> None: ...
def rounded(number: float | None) -> float | None:
    """Return a number without the digits that depend on which prompts shared a forward pass."""
    return None if number is None else round(number, DECIMALS)


def _rounded(case: CaseReading) -> CaseReading:
    interval = case.interval
    return replace(
        case,
        probabilities={value: rounded(p) for value, p in case.probabilities.items()},
        interval=None if interval is None else (rounded(interval[0]), rounded(interval[1])),
        spread=rounded(case.spread),
        off_schema=rounded(case.off_schema),
        unknown=rounded(case.unknown),
    )


def _silence(case: CaseReading, n: int, *, number: bool) -> str:
    """Return why a field has no value, or an empty string."""
    if case.off_schema is not None and case.off_schema > OFF_SCHEMA_LIMIT:
        if case.unknown is not None and case.unknown > OFF_SCHEMA_LIMIT:
            return f"The model answers unknown (probability {case.unknown:.2f})."
        return (
            f"The model does not follow this format: {case.off_schema:.0%} of its probability lies "
            "outside the allowed values."
        )
    split = case.disagreement
    # A number is a mean over the tissue and stays meaningful when patches differ.
    if not number and split is not None and split > MAX_DISAGREEMENT:
        return f"The patches disagree: {split:.0%} of {n} prompts give another class."
    return ""


def _ordered(key: str, table: Mapping[str, float]) -> dict[str, float]:
    """Return a table in contract order, as plain floats."""
    allowed = FIELD_VALUES[key] or tuple(table)
    return {value: float(table[value]) for value in allowed}


def _check_finite(table: Mapping[str, float]) -> None:
    if not all(0 <= p <= 1 + 1e-6 for p in table.values()):
        raise LogitsNotFinite(
            "the model answers NaN; check the weights with 'immunopath models verify' and use "
            "bfloat16 or float32"
        )
