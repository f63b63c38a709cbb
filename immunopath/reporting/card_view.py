"""One predicted field in full: value, probabilities, interval, and what it rests on."""

from immunopath.domain.finding import TrustRow
from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.prediction import FieldPrediction, PhenotypeScores, ValidationCard
from immunopath.domain.provenance import Provenance
from immunopath.domain.report import CaseReport
from immunopath.reporting.document import Bar, Card, Pair
from immunopath.reporting.text import counted, number, plain_name, scale_origin, share

AnyField = FieldPrediction[str] | FieldPrediction[float]

FIELD_NAMES = {
    "cd274_expression": "CD274 RNA",
    "msi_status": "MSI status",
    "tme_subtype": "TME subtype",
    "til_fraction": "TIL fraction",
    "til_density": "TIL density",
    "immune_phenotype": "Immune phenotype",
    "cd8_infiltration": "CD8 infiltration",
    "immune_score": "Immune score",
}
ABSTAINS = "abstains"
_CAUTIONS = {
    "cd274_expression": "An RNA proxy, never PD-L1 TPS",
    "msi_status": "Never an MSI or MMR result",
}


def field_name(key: str) -> str:
    """Return the reader's name of a profile field."""
    return FIELD_NAMES.get(key, plain_name(key))


def value_text(field: AnyField) -> str:
    """Return the value in words; a hint says that it is one."""
    if field.value is None:
        return ABSTAINS
    text = field.value if isinstance(field.value, str) else share(field.value)
    return f"{text}, hint only" if field.hint else text


def interval_text(field: AnyField) -> str:
    """Return interval, prediction set or probability of the value, as far as there is one."""
    if field.interval is not None:
        low, high = field.interval
        return f"{_coverage(field)}interval {share(low)}–{share(high)}"
    if field.prediction_set is not None:
        return f"{_coverage(field)}set: {', '.join(field.prediction_set)}"
    if field.probabilities and isinstance(field.value, str):
        top = field.probabilities.get(field.value)
        word = "" if field.calibrated else ", uncalibrated"
        return "" if top is None else f"p {share(top)}{word}"
    return ""


def _coverage(field: AnyField) -> str:
    return "" if field.coverage is None else f"{100 * field.coverage:g} % "


def field_card(key: str, field: AnyField, trust: TrustRow | None) -> Card:
    """Return the card of one profile field. A prior is titled as such, never as a prediction."""
    table = field.probabilities or field.prior or {}
    title = ""
    if field.probabilities:
        title = "Probabilities" if field.calibrated else "Probabilities, uncalibrated"
    elif field.prior:
        title = "Population prior, not a prediction for this case"
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
    extent = f"{field.scope}, {counted(field.n_tiles, 'tile')}"
    if field.tile_disagreement is not None:
        extent += f", {100 * field.tile_disagreement:.0f} % of tiles differ"
    rows = (
        ("Caution", _CAUTIONS.get(key, "")),
        ("Why no value" if field.abstained else "Note", field.reason),
        ("Uncertainty", interval_text(field) if field.interval or field.prediction_set else ""),
        ("Before correction", "" if field.raw_value is None else _raw(field.raw_value)),
        ("Quantity", plain_name(field.quantity)),
        ("Seen on", extent),
        ("Quality control", "" if field.qc_pass else "did not pass"),
        ("Out-of-distribution score", "" if field.ood_score is None else number(field.ood_score)),
        ("Validation", _validation(field.validation)),
        ("Trust gate", _trust(trust)),
        ("Source", source_text(field.source)),
    )
    return tuple(Pair(label, text) for label, text in rows if text)


def _raw(value: str | float) -> str:
    return value if isinstance(value, str) else share(value)


def _validation(card: ValidationCard | None) -> str:
    if card is None:
        return "none: not informative"
    kind = "external" if card.external else "internal"
    ece = "" if card.ece is None else f", ECE {share(card.ece)}"
    return (
        f"{card.metric} {number(card.value)} ({number(card.ci_low)}–{number(card.ci_high)}; "
        f"guessing {number(card.null_value)}), {kind} cohort {card.cohort}, n = {card.n}{ece}"
    )


def _trust(trust: TrustRow | None) -> str:
    if trust is None:
        return "not evaluated"
    return f"{'informative' if trust.informative else 'not informative'}: {trust.reason}"


def source_text(source: Provenance) -> str:
    """Return engine, revision, digest, resolution and tiles of a value in one line."""
    parts = [f"{source.engine} {source.revision} ({source.kind})"]
    if source.weights_digest:
        parts.append(f"weights {source.weights_digest[:12]}")
    if source.prompt_digest:
        parts.append(f"prompt {source.prompt_digest[:12]}")
    if source.knowledge_version:
        parts.append(f"knowledge {source.knowledge_version}")
    if source.rule_id:
        parts.append(f"rule {source.rule_id}")
    if source.mpp is not None:
        known = source.mpp_source
        origin = f" (scale of the image {scale_origin(known)})" if known else ""
        parts.append(f"{source.mpp:g} µm/px{origin}")
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
    return ", ".join(f"{plain_name(k)} {number(v, 3)}" for k, v in scores.features.items())
