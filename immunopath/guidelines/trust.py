"""The trust gate (`guidelines.md` 3.2): may a prediction take part in triage at all?"""

from immunopath.domain.prediction import FIELD_VALUES, FieldPrediction, ValidationCard
from immunopath.guidelines.loader import Knowledge, load_knowledge
from immunopath.guidelines.schema import TrustFile


def trust_gate(
    name: str,
    field: FieldPrediction[str] | FieldPrediction[float],
    *,
    knowledge: Knowledge | None = None,
) -> tuple[bool, str]:
    """Return ``(informative, reason)`` for one of the eight fields.

    informative = external validation, n >= 100, lower confidence bound above the limit of its
    metric and above what cancer type and site alone reach (where the card says it), ECE <= 0.10,
    quality control passed, not abstained, in distribution, tiles agree.
    The limits are project-set and stand in ``knowledge/trust.yaml``.
    """
    limits = (knowledge or load_knowledge()).trust
    reason = _case_reason(limits, field)
    if reason:
        return False, reason
    if field.validation is None:
        return False, "no validation card"
    return _card(limits, field.validation, name)


def _case_reason(limits: TrustFile, field: FieldPrediction[str] | FieldPrediction[float]) -> str:
    """Return why this case's value is out, whatever the validation says; or an empty string."""
    split, strange = field.tile_disagreement, field.ood_score
    checks = (
        (field.abstained, f"abstained: {field.reason}"),
        (not field.qc_pass, "quality control not passed"),
        (field.hint, "a hint without validation"),
        (strange is not None and strange > limits.max_ood_score, "out of distribution"),
        (split is not None and split > limits.max_tile_disagreement, "tiles disagree"),
    )
    return next((reason for failed, reason in checks if failed), "")


def _card(limits: TrustFile, card: ValidationCard, name: str) -> tuple[bool, str]:
    floor = metric_floor(limits, card)
    needs_ece = FIELD_VALUES[name] is not None
    clinical = card.clinical_value
    checks = (
        (not card.external, f"validated on {card.cohort} only, not externally"),
        (card.n < limits.min_n, f"validation n = {card.n}, below {limits.min_n}"),
        (needs_ece and card.ece is None, "calibration error not stated"),
        (
            needs_ece and card.ece is not None and card.ece > limits.max_ece,
            f"calibration error {card.ece} above {limits.max_ece:.2f}",
        ),
        (floor is None, f"metric {card.metric!r} has no limit here"),
        (
            floor is not None and card.ci_low < floor,
            f"lower bound of {card.metric} is {card.ci_low:.2f}, below {floor}",
        ),
        (
            clinical is not None and card.ci_low <= clinical,
            f"lower bound of {card.metric} is {card.ci_low:.2f}, not above the {clinical or 0:.2f} "
            "that cancer type and site alone reach",
        ),
    )
    reason = next((text for failed, text in checks if failed), "")
    passed = f"{card.metric} {card.value:.2f} ({card.ci_low:.2f}-{card.ci_high:.2f}), n = {card.n}"
    if clinical is None:
        passed += "; what cancer type and site alone reach is not known"
    return not reason, reason or passed


def metric_floor(limits: TrustFile, card: ValidationCard) -> float | None:
    """Return the least lower bound for the card's metric, or None for an unknown metric."""
    metric = card.metric.lower().replace(" ", "_")
    if metric in limits.lower_bounds:
        return limits.lower_bounds[metric]
    if metric in {"accuracy", "multiclass_accuracy"}:
        return card.null_value + limits.multiclass_margin
    return None
