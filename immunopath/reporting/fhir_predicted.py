"""What was predicted from H&E: RiskAssessments only, never Observations.

``probabilityDecimal`` holds a probability and nothing else, in percent as R4B has it: 0.035 is sent
as 3.5. A table that was not calibrated carries a modifier extension (a receiver that does not know
it must not read the number) and says so in ``rationale``. Shares of bootstrap resamples and scores
of an engine that measures are no probabilities: they stand in a note. Numbers such as the TIL
fraction are values in an extension. An abstention has no prediction: a note gives its reason, and
the population prior as such. Images are Media, which needs no DICOM study behind it. Retrieval
votes, counts and drug facts stay out.
"""

from collections.abc import Mapping

from immunopath.domain.finding import TrustRow
from immunopath.domain.outcome import Ok
from immunopath.domain.prediction import PhenotypeScores
from immunopath.domain.provenance import Provenance
from immunopath.domain.words import counted
from immunopath.reporting.card_view import (
    MEASUREMENT,
    RESAMPLES,
    AnyField,
    calibration_state,
    resampled,
    set_text,
    source_text,
    trust_reason,
    validation_text,
)
from immunopath.reporting.fhir_base import (
    Draft,
    Json,
    concept,
    decimal,
    extension,
    identifier,
    local_coding,
    note,
    plain,
    quantity,
)
from immunopath.reporting.fhir_engine import add_engine
from immunopath.reporting.text import scale_origin, share
from immunopath.reporting.words import field_name, quantity_name

UNVALIDATED = "Predicted from H&E, unvalidated, research use only. Confirm with a validated assay."
_CAUTIONS = {
    "cd274_expression": "An RNA proxy, never a PD-L1 tumour proportion score.",
    "msi_status": "Never a result of an MSI or MMR assay.",
}


def risk_role(field: str) -> str:
    """Return the role of the RiskAssessment of a profile field."""
    return f"risk/{field}"


def add_predicted(draft: Draft) -> None:
    """Add the images and one RiskAssessment for each field and for the second opinion."""
    report = draft.report
    for number, image in enumerate(report.images):
        body = {
            "status": "completed",
            "identifier": [identifier("image-sha256", image.sha256)],
            "subject": draft.ref("patient"),
            "width": image.width,
            "height": image.height,
            "content": {"title": plain(image.name)},
            "note": note(f"{image.mpp:g} µm/px ({scale_origin(image.mpp_source)})", *image.notes),
        }
        draft.add("Media", f"image/{number}", body)
    trust = {row.field: row for row in report.trust}
    for key, field in report.profile.items():
        _field(draft, key, field, trust.get(key))
    if isinstance(report.phenotype, Ok):
        _scores(draft, report.phenotype.value)


def _field(draft: Draft, key: str, field: AnyField, trust: TrustRow | None) -> None:
    role = risk_role(key)
    said = [
        UNVALIDATED,
        _CAUTIONS.get(key, ""),
        f"No value: {field.reason}" if field.abstained else field.reason,
        f"Population prior, not a prediction for this case: {_table(field.prior)}"
        if field.prior
        else "",
        f"{RESAMPLES}: {_table(field.probabilities)}" if resampled(field) else "",
        f"Prediction set, {text}." if (text := set_text(field)) else "",
        "A hint that no validation supports." if field.hint else "",
        "" if field.qc_pass or not field.n_tiles else "Quality control did not pass.",
        _validation(field),
        _trust(trust, field),
        f"Seen on {counted(field.n_tiles, 'tile')} ({field.scope}). {source_text(field.source)}",
    ]
    _assessment(
        draft, role, f"{field_name(key)} predicted from H&E", key, field.abstained,
        _predictions(key, field), said, field.source,
    )  # fmt: skip


def _assessment(  # noqa: PLR0913, PLR0917 - the parts of one resource
    draft: Draft,
    role: str,
    title: str,
    key: str,
    abstained: bool,
    predictions: list[Json],
    said: list[str],
    source: Provenance,
) -> None:
    body = {
        "status": "cancelled" if abstained else "preliminary",
        "method": concept(f"{source.engine} {source.revision} ({source.kind}) on H&E images"),
        "code": concept(title, local_coding("ours_field", key)),
        "subject": draft.ref("patient"),
        "occurrenceDateTime": draft.day,
        "performer": add_engine(draft, source),
        "basis": draft.refs(draft.roles("image/")),
        "prediction": predictions,
        "note": note(*said),
    }
    draft.add("RiskAssessment", role, body)


def _predictions(key: str, field: AnyField) -> list[Json]:
    if field.value is None:
        return []
    if isinstance(field.value, str):
        if not field.probabilities or resampled(field):
            return [_bare(_outcome(key, field.value))]
        chosen = field.value
        return [
            _row(_outcome(key, value), p, field.calibrated, chosen=value == chosen)
            for value, p in field.probabilities.items()
        ]
    parts = [extension("predicted-value", valueDecimal=decimal(field.value))]
    why = "a score from 0 to 1, not a probability"
    if field.interval:
        low, high = field.interval
        span = {"low": quantity(low), "high": quantity(high)}
        parts.append(extension("predicted-interval", valueRange=span))
        cover = "" if field.coverage is None else f" at {100 * field.coverage:g} % coverage"
        state = "" if field.source.kind == MEASUREMENT else f", {calibration_state(field)}"
        why += f"; interval {share(low)} to {share(high)}{cover}{state}"
    text = f"{field_name(key)} {share(field.value)} ({quantity_name(field.quantity)})"
    return [{"extension": parts, "outcome": concept(text), "rationale": why}]


def _outcome(key: str, value: str) -> str:
    return f"{field_name(key)} {value}, predicted"


def _bare(text: str) -> Json:
    return {"outcome": concept(text), "rationale": "no probability"}


def _row(text: str, probability: float, calibrated: bool, *, chosen: bool) -> Json:
    state = "calibrated" if calibrated else "uncalibrated"
    mark = extension("calibration", valueCode=state)
    return {
        "extension": [mark] if calibrated else [],
        "modifierExtension": [] if calibrated else [mark],
        "outcome": concept(text),
        "probabilityDecimal": decimal(100 * probability),
        "rationale": f"{state} probability{'; the reported value' if chosen else ''}",
    }


def _scores(draft: Draft, scores: PhenotypeScores) -> None:
    measured = scores.source.kind == MEASUREMENT and not scores.calibrated
    found = [
        _row(_outcome("immune_phenotype", name), value, scores.calibrated,
             chosen=name == scores.value)
        for name, value in scores.scores.items()
    ]  # fmt: skip
    if measured and scores.value is not None:
        found = [_bare(_outcome("immune_phenotype", scores.value))]
    why = f"No value: {scores.reason}" if scores.abstained else scores.reason
    told = scores.scores and (measured or scores.abstained)
    table = f"Scores, not probabilities: {_table(scores.scores)}" if told else ""
    _assessment(
        draft, "risk/second-opinion", "Immune phenotype, second opinion from H&E",
        "immune_phenotype", scores.abstained, [] if scores.abstained else found,
        [UNVALIDATED, why, table, source_text(scores.source)], scores.source,
    )  # fmt: skip


def _table(shares: Mapping[str, float] | None) -> str:
    return ", ".join(f"{name} {share(value)}" for name, value in (shares or {}).items())


def _validation(field: AnyField) -> str:
    card = field.validation
    if card is None:
        return "Validation: none, so the field is not informative."
    return f"Validation: {validation_text(card)}."


def _trust(trust: TrustRow | None, field: AnyField) -> str:
    if trust is None:
        return "Trust gate: not evaluated."
    why = trust_reason(trust, field)
    return f"Trust gate: {'' if trust.informative else 'not '}informative, {why}."
