"""From an evaluation to the cards that the trust gate reads (`guidelines.md` 3.2)."""

import hashlib
from typing import Final

from immunopath.domain.errors import InputError
from immunopath.domain.prediction import FIELD_VALUES, ValidationCard
from immunopath.models.validation import SYNTHETIC, ValidationFile
from immunopath.training.evaluation.baselines import CLINICAL
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.score import FieldScore

NO_EXTERNAL: Final = (
    "--external: rendered images are no external validation, whatever their labels; leave it out"
)


def validation_file(found: Evaluation, *, external: bool = False) -> ValidationFile:
    """Return the cards of an evaluation, one for every field that could be evaluated.

    Two classes: AUROC (null 0.5), without tables balanced accuracy. More classes: accuracy, against
    1 / k or the share of the most frequent label, whichever is higher. Numbers: Spearman (null 0).
    Beside it what cancer type and site alone reach, and how many labelled patients got no answer.
    Rendered images are never external. A field that ignores the image has no card, however well it
    does: what it knows (cancer type in the prompt, base rates) needs no image. Raises `InputError`
    for a split that the checkpoint may have been trained on and for an external claim on a
    synthetic cohort.
    """
    if found.split != "test":
        raise InputError(
            f"answers on the split {found.split} are no validation; evaluate the split test"
        )
    if external and found.origin == SYNTHETIC:
        raise InputError(NO_EXTERNAL)
    cards = {}
    for name, field in found.main.fields.items():
        if _blind(found, name):
            continue
        card = _card(found, name, field, external)
        if card is not None:
            cards[name] = card
    return ValidationFile(
        checkpoint=found.main.digest,
        calibrator=found.main.calibrator,
        preprocess=found.main.preprocess,
        conditioning=found.main.conditioning,
        origin=found.origin,
        split=found.split,
        evaluation=hashlib.sha256(found.text.encode()).hexdigest(),
        cards=cards,
    )


def _blind(found: Evaluation, name: str) -> bool:
    field = found.alarm.fields.get(name)
    return field is not None and field.image == "ignores"


def _card(found: Evaluation, name: str, field: FieldScore, external: bool) -> ValidationCard | None:
    metric, null = _metric(name, field)
    estimate = field.metrics.get(metric)
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    ece = field.metrics.get("ece")
    return ValidationCard(
        cohort=_cohort(found),
        n=field.answered,
        metric=metric,
        value=_rounded(estimate.value),
        ci_low=_rounded(estimate.low),
        ci_high=_rounded(estimate.high),
        null_value=_rounded(null),
        external=external,
        ece=None if ece is None else _rounded(ece.value),
        labelled=field.n,
        clinical_value=_clinical(found, name, metric),
    )


def _clinical(found: Evaluation, name: str, metric: str) -> float | None:
    """Return what the clinical-only baseline reaches on the patients that the predictor answered.

    None where it was not run or has no such figure.
    """
    same = (CLINICAL, name, metric)
    pairs = (d.other for d in found.differences if (d.against, d.field, d.metric) == same)
    value = next(pairs, None)
    return None if value is None else _rounded(value)


def _metric(name: str, field: FieldScore) -> tuple[str, float]:
    values = FIELD_VALUES[name]
    if values is None:
        return "spearman", 0.0
    if len(values) == 2:
        return ("auroc" if "auroc" in field.metrics else "balanced_accuracy"), 0.5
    most = max(field.counts.values()) / field.n if field.n else 0.0
    return "accuracy", max(1 / len(values), most)


def _cohort(found: Evaluation) -> str:
    label = found.cohort or "not named"
    kind = f"{SYNTHETIC}, not tissue" if found.origin == SYNTHETIC else f"labels: {found.origin}"
    return f"{label} ({kind}; split {found.split})"


def _rounded(value: float) -> float:
    return round(value, 4)
