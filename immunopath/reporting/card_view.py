"""One predicted field in full: value, probabilities, interval, and what it rests on."""

from immunopath.domain.finding import TrustRow
from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.prediction import (
    FIELD_VALUES,
    FieldPrediction,
    PhenotypeScores,
    ValidationCard,
)
from immunopath.domain.provenance import Provenance
from immunopath.domain.report import CaseReport
from immunopath.domain.words import counted
from immunopath.reporting.document import Bar, Card, Pair
from immunopath.reporting.text import number, plain_name, scale_origin, share
from immunopath.reporting.words import feature_text, field_name, quantity_name

AnyField = FieldPrediction[str] | FieldPrediction[float]

ABSTAINS = "abstains"
MEASUREMENT = "measurement"
"""`Provenance.kind` of engines that measure: their tables are no probabilities."""
RESAMPLES = "Shares of bootstrap resamples, not probabilities"
_TIE = 0.01 + 1e-9
"""Classes that lie no further apart are tied."""
_CAUTIONS = {
    "cd274_expression": "An RNA proxy, never PD-L1 TPS",
    "msi_status": "Never an MSI or MMR result",
}


def value_text(field: AnyField) -> str:
    """Return the value in words; a hint says that it is one."""
    if field.value is None:
        return ABSTAINS
    text = field.value if isinstance(field.value, str) else share(field.value)
    equals = [", tied with " + " and ".join(tied)] if (tied := _tied(field)) else []
    return "".join((text, *equals, _hint(field)))


def _hint(field: AnyField) -> str:
    """Return that the value is a hint, and of which other field it is a copy."""
    if not field.hint:
        return ""
    copied = field.quantity == "hint_equal_to_lymphocyte_share"
    return ", hint: equals the TIL fraction" if copied else ", hint only"


def resampled(field: AnyField) -> bool:
    """Return whether the table of the field counts resamples instead of stating probabilities."""
    measured = field.source.kind == MEASUREMENT and not field.calibrated
    return measured and bool(field.probabilities)


def _tied(field: AnyField) -> tuple[str, ...]:
    """Return the classes that are as likely as the reported one within `_TIE`."""
    table = field.probabilities or {}
    if not isinstance(field.value, str) or field.value not in table:
        return ()
    near = (name for name, p in table.items() if abs(p - table[field.value]) <= _TIE)
    return tuple(name for name in near if name != field.value)


def interval_text(field: AnyField) -> str:
    """Return interval, probability and prediction set of the value, as far as there are any."""
    if field.interval is not None:
        low, high = field.interval
        return f"{_coverage(field)}interval {share(low)}–{share(high)}{_state_of_interval(field)}"
    return "; ".join(part for part in (_probability(field), set_text(field)) if part)


def set_text(field: AnyField) -> str:
    """Return the values that hold the truth with the stated coverage; empty without a set."""
    if field.prediction_set is None:
        return ""
    return f"{_coverage(field)}set: {', '.join(field.prediction_set)}"


def _probability(field: AnyField) -> str:
    if not isinstance(field.value, str):
        return ""
    top = (field.probabilities or {}).get(field.value)
    if top is None:
        return ""
    if resampled(field):
        return f"{share(top)} of resamples"
    return f"p {share(top)}, {calibration_state(field)}"


def calibration_state(field: AnyField) -> str:
    """Return ``calibrated`` or ``uncalibrated``."""
    return "calibrated" if field.calibrated else "uncalibrated"


def _state_of_interval(field: AnyField) -> str:
    """A model's interval is a claim about its truth; a measurement's is one of sampling alone."""
    measured = field.source.kind == MEASUREMENT and not field.calibrated
    return "" if measured else f", {calibration_state(field)}"


def _coverage(field: AnyField) -> str:
    return "" if field.coverage is None else f"{100 * field.coverage:g} % "


def field_card(key: str, field: AnyField, trust: TrustRow | None) -> Card:
    """Return the card of one profile field. A prior is titled as such, never as a prediction."""
    table = field.probabilities or field.prior or {}
    title = ""
    if resampled(field):
        title = RESAMPLES
    elif field.probabilities:
        title = f"Probabilities, {calibration_state(field)}"
    elif field.prior:
        title = "Population prior, not a prediction for this case"
    if FIELD_VALUES.get(key, ()) is None:
        table, title = {}, ""  # the table of a number has a hundred cells: its interval is shown
    bars = [Bar(name, value, share(value)) for name, value in table.items()]
    if not bars and isinstance(field.value, float):
        bars = [Bar("value", field.value, share(field.value))]
        title = "On a scale from 0 to 1"
    return Card(
        key=key,
        label=field_name(key),
        value=value_text(field),
        bars=tuple(bars),
        bars_title=title,
        span=field.interval,
        lines=_card_lines(key, field, trust),
        abstained=field.abstained,
    )


def _card_lines(key: str, field: AnyField, trust: TrustRow | None) -> tuple[Pair, ...]:
    extent = f"{field.scope}, {counted(field.n_tiles, 'tile')}" if field.n_tiles else "no tile"
    if field.tile_disagreement is not None:
        extent += f", {100 * field.tile_disagreement:.0f} % of tiles differ"
    rows = (
        ("Caution", _CAUTIONS.get(key, "")),
        ("Why no value" if field.abstained else "Note", field.reason),
        ("Uncertainty", interval_text(field) if field.interval or field.prediction_set else ""),
        (
            "Before calibration" if field.calibrated else "Before correction",
            "" if field.raw_value is None else _raw(field.raw_value),
        ),
        ("Quantity", quantity_name(field.quantity)),
        ("Seen on", extent),
        ("Language model", _language(field)),
        ("Quality control", "" if field.qc_pass or not field.n_tiles else "did not pass"),
        ("Out-of-distribution score", "" if field.ood_score is None else number(field.ood_score)),
        ("Validation", validation_text(field.validation)),
        ("Trust gate", _trust(trust, field)),
        ("Source", source_text(field.source)),
    )
    return tuple(Pair(label, text) for label, text in rows if text)


def _language(field: AnyField) -> str:
    """Return what the slot decoder says beside the table; empty for engines that measure."""
    parts = []
    if field.off_schema_mass is not None:
        parts.append(f"{share(field.off_schema_mass)} outside the allowed values")
    if field.unknown_mass is not None:
        parts.append(f"{share(field.unknown_mass)} on unknown")
    if field.spread is not None and field.n_tiles > 1:
        parts.append(f"prompts {share(field.spread)} apart")
    if field.conditioning is not None:
        parts.append(f"{field.conditioning} conditioning")
    return ", ".join(parts)


def _raw(value: str | float) -> str:
    return value if isinstance(value, str) else share(value)


def validation_text(card: ValidationCard | None) -> str:
    """Return what is known of a field, beside guessing and what needs no image, in one line."""
    if card is None:
        return "none: not informative"
    kind = "external" if card.external else "internal"
    ece = "" if card.ece is None else f", ECE {share(card.ece)}"
    return (
        f"{card.metric} {number(card.value)} ({number(card.ci_low)}–{number(card.ci_high)}; "
        f"guessing {number(card.null_value)}{_clinical(card)}), {kind} cohort {card.cohort}, "
        f"n = {card.n}{_silent(card)}{ece}"
    )


def _clinical(card: ValidationCard) -> str:
    found = card.clinical_value
    return f"; cancer type and site alone {'not known' if found is None else number(found)}"


def _silent(card: ValidationCard) -> str:
    if card.labelled is None or card.silent_share is None:
        return " (how many were left unanswered is not stated)"
    return f" of {card.labelled} ({share(card.silent_share)} without an answer)"


def _trust(trust: TrustRow | None, field: AnyField) -> str:
    if trust is None:
        return "not evaluated"
    gate = "informative" if trust.informative else "not informative"
    return f"{gate}: {trust_reason(trust, field)}"


def trust_reason(trust: TrustRow, field: AnyField) -> str:
    """Return why the gate is open or shut; the reason of an abstention stands beside it already."""
    return "abstained" if trust.reason == f"abstained: {field.reason}" else trust.reason


def source_text(source: Provenance) -> str:
    """Return engine, revision, digest, resolution and tiles of a value in one line."""
    parts = [f"{source.engine} {source.revision} ({source.kind})"]
    if source.weights_digest:
        parts.append(f"weights {source.weights_digest[:12]}")
    if source.prompt_digest:
        parts.append(f"prompt {source.prompt_digest[:12]}")
    if source.calibrator_digest:
        parts.append(f"calibration {source.calibrator_digest[:12]}")
    if source.knowledge_version:
        parts.append(f"knowledge {source.knowledge_version}")
    if source.rule_id:
        parts.append(f"rule {source.rule_id}")
    if source.mpp is not None:
        known = source.mpp_source
        origin = f"; scale of the image {scale_origin(known)}" if known else ""
        parts.append(f"{'resampled to ' if known else ''}{source.mpp:g} µm/px{origin}")
    if source.preprocess:
        parts.append(source.preprocess.replace(";", " "))
    if source.tile_ids:
        parts.append(counted(len(source.tile_ids), "tile"))
    return ", ".join(parts)


def phenotype_card(report: CaseReport) -> Card:
    """Return the card of the independent phenotype scorer, or why there is none."""
    outcome = report.phenotype
    if isinstance(outcome, Ok):
        return _scored(outcome.value)
    lines = (Pair("Why no value", why_not(outcome)),)
    return Card(
        "phenotype_scorer", "Second opinion: phenotype", plain_name(outcome.status), (), "", None,
        lines, abstained=True,
    )  # fmt: skip


def _scored(scores: PhenotypeScores) -> Card:
    rows = (
        ("Why no value" if scores.abstained else "Note", scores.reason),
        ("Measured on", _features(scores)),
        ("Each prompt by itself (sigmoid)", _prompts(scores)),
        ("Source", source_text(scores.source)),
    )
    return Card(
        key="phenotype_scorer",
        label="Second opinion: phenotype",
        value=scores.value or ABSTAINS,
        bars=tuple(Bar(name, value, share(value)) for name, value in scores.scores.items()),
        bars_title="Scores" if scores.calibrated else "Scores, uncalibrated",
        span=None,
        lines=tuple(Pair(label, text) for label, text in rows if text),
        abstained=scores.abstained,
    )


def _features(scores: PhenotypeScores) -> str:
    return ", ".join(feature_text(name, value) for name, value in scores.features.items())


def _prompts(scores: PhenotypeScores) -> str:
    """Return how likely each prompt alone fits; empty for an engine without prompts."""
    return ", ".join(f"{key} {share(value)}" for key, value in scores.prompt_probabilities.items())
