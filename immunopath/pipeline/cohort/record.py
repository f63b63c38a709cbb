"""From a report to the record of its case."""

from typing import Any, Final

from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord, FieldSummary, QueueFacts
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Ok
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.report import CaseReport
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.triage import changing_probability, queue_facts
from immunopath.pipeline.cohort.slide_rows import slide_summaries

EXPLORATORY: Final = (("cd274_expression", "high"), ("immune_phenotype", "inflamed"))
"""Probabilities that come first among what `exploratory_order` may rank by."""


def record_of(report: CaseReport, *, row: int, key: str, files: dict[str, str]) -> CaseRecord:
    """Return the record of a case that has a report."""
    guidance = report.guidance.value if isinstance(report.guidance, Ok) else None
    return CaseRecord(
        case_id=report.case_id,
        patient_id=report.patient_id,
        row=row,
        key=key,
        status=report.status.value,
        reason=report.status_reason,
        files=files,
        category=guidance.category.value if guidance else None,
        tests=_laboratory_tests(guidance),
        queue=_queue(report, guidance),
        fields=_fields(report),
        slides=slide_summaries(report),
        findings=tuple(finding.code for finding in report.findings),
        quality=tuple(image.quality.verdict.value for image in report.images),
        n_tiles=len(report.tiles),
        engines={engine.agent: engine.status for engine in report.engines},
    )


def _laboratory_tests(guidance: Guidance | None) -> tuple[str, ...]:
    """Return what the laboratory is asked for, pathology reviews included; the rest is reported."""
    known = load_knowledge().tests
    asked = guidance.tests if guidance else ()
    return tuple(test.code for test in asked if known[test.code].laboratory)


def failure_of(case: Case, *, row: int, key: str, reason: str) -> CaseRecord:
    """Return the record of a case without a report."""
    return CaseRecord(
        case_id=case.case_id,
        patient_id=case.patient_id,
        row=row,
        key=key,
        status="failed",
        reason=reason,
    )


def _queue(report: CaseReport, guidance: Guidance | None) -> QueueFacts | None:
    if guidance is None or guidance.triage.level is None:
        return None
    facts = queue_facts(report.case_id, guidance, report.clinical)
    passed = [row.field for row in report.trust if row.informative]
    chance = changing_probability(report.profile, passed, [test.code for test in guidance.tests])
    return facts.model_copy(
        update={"changing_probability": chance, "exploratory": _exploratory(report)}
    )


def _exploratory(report: CaseReport) -> dict[str, float]:
    """Return every unvalidated number of a case that a queue could be ordered by, best first."""
    numbers: dict[str, float] = {}
    for name, value in EXPLORATORY:
        table = getattr(report.profile, name).probabilities
        if table is not None:
            numbers[f"p({name} = {value})"] = table[value]
    if isinstance(report.phenotype, Ok) and "inflamed" in report.phenotype.value.scores:
        numbers["phenotype scorer: inflamed"] = report.phenotype.value.scores["inflamed"]
    til = report.profile.til_fraction
    if til.value is not None:
        numbers[f"til_fraction ({til.quantity})"] = til.value
    return numbers


def _fields(report: CaseReport) -> tuple[FieldSummary, ...]:
    informative = {row.field: row.informative for row in report.trust}
    agreement: dict[str, str] = {row.field: row.state for row in report.agreement}
    return tuple(
        _field(name, getattr(report.profile, name), informative, agreement) for name in FIELD_VALUES
    )


def _field(
    name: str,
    field: Any,  # noqa: ANN401 - FieldPrediction of text or of a number
    informative: dict[str, bool],
    agreement: dict[str, str],
) -> FieldSummary:
    low, high = field.interval or (None, None)
    table = field.probabilities
    return FieldSummary(
        field=name,
        quantity=field.quantity,
        value=field.value,
        probability=table.get(field.value) if table and isinstance(field.value, str) else None,
        low=low,
        high=high,
        prediction_set="|".join(field.prediction_set or ()),
        coverage=field.coverage,
        calibrated=field.calibrated,
        informative=informative.get(name, False),
        abstained=field.abstained,
        reason=field.reason,
        n_tiles=field.n_tiles,
        tile_disagreement=field.tile_disagreement,
        agreement=agreement.get(name, ""),
    )
