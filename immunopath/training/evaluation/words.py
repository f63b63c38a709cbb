"""The words and figures that every page of an evaluation shares."""

import re
from typing import Final

from immunopath.domain.words import counted
from immunopath.training.evaluation.compare import Difference
from immunopath.training.evaluation.compliance import Compliance
from immunopath.training.evaluation.counts import MIN_POSITIVES
from immunopath.training.evaluation.evaluate import EXPECTED, Evaluation, SetScore
from immunopath.training.evaluation.groups import large_enough
from immunopath.training.evaluation.resample import Estimate
from immunopath.training.evaluation.score import PRIMARY, FieldScore

SHOWN: Final = {
    "class": ("balanced_accuracy", "accuracy", "macro_f1", "auroc", "brier", "ece"),
    "number": (
        "spearman", "pearson", "mae", "mae_skill", "r2", "crps", "coverage_90", "quantile_error",
    ),
}  # fmt: skip
"""Metrics that a table shows, by kind of field; the JSON holds all."""
NAMES: Final = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "auroc": "AUROC",
    "brier": "Brier",
    "log_loss": "log loss",
    "ece": "ECE",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "mae": "MAE",
    "mae_skill": "MAE skill",
    "r2": "R²",
    "crps": "CRPS",
    "coverage_90": "coverage of 90 %",
    "width_90": "width of 90 %",
    "quantile_error": "quantile error",
}
SET_NAMES: Final = {
    "predictor": "**predictor**",
    "constant": "constant, best in hindsight",
    "majority": "majority or median of training labels",
    "clinical": "clinical only (cancer type, site)",
    "mil": "MIL head",
    "zero_shot": "base model, zero-shot",
    "blank": "control: blank images",
    "shuffled": "control: shuffled images",
    "swapped": "control: images of another patient (answers exchanged)",
}
SYNTHETIC: Final = (
    "SYNTHETIC COHORT: rendered images with set labels, not tissue. These numbers say that the way "
    "works; they say nothing about patients."
)
NOTE: Final = (
    "Intervals: 95 %, bootstrap over patients ({draws} resamples, seed {seed}). Skill is against "
    "the best constant in hindsight. A correlation marked *constant* is 0 by convention. AUROC: "
    "one against the rest, mean over classes. ECE: ten bins of equal mass; for two classes of the "
    "first one's probability, else of the most probable class's."
)


DIFFERENCES: Final = (
    "Paired bootstrap on the patients that both answered; p is two-sided and of this row alone. "
    "p (Holm) counts the other fields tested against the same baseline: balanced accuracy and "
    "Spearman together, every other metric by itself."
)


EVERY_CLASS: Final = frozenset({"balanced_accuracy", "macro_f1"})
"""Means over classes in which one with four patients weighs as much as one with four hundred."""
FEW: Final = (
    f"fewer than {MIN_POSITIVES}: counted in full in figures marked so; one patient moves them"
)


def facts(found: Evaluation) -> tuple[tuple[str, str], ...]:
    """Return what was evaluated on what, as label and text."""
    splits = ", ".join(f"{name} {n}" for name, n in sorted(found.splits.items()))
    main = found.main
    return (
        ("cohort", f"{found.cohort or 'not named'} (labels: {found.origin})"),
        ("patients", f"{found.n} of split {found.split} (cohort: {splits})"),
        ("weights", main.digest[:16]),
        ("calibrated", "yes" if main.calibrated else "no"),
        ("tiles per patient", f"{main.n_tiles:.1f}"),
    )


def engine_name(text: str) -> str:
    """Return an engine string without the folders above a local path; hub ids stay whole."""
    return _FOLDERS.sub("", text)


def number(found: Estimate | None, decimals: int = 3) -> str:
    """Return a metric with its interval, or a dash where there is none."""
    if found is None:
        return "–"
    text = plain(found.value, decimals)
    if found.constant:
        return f"{text} *constant*"
    if found.low is None or found.high is None:
        return f"{text} [no interval]"
    return f"{text} [{plain(found.low, decimals)}, {plain(found.high, decimals)}]"


def figure(field: FieldScore, metric: str, decimals: int = 3) -> str:
    """Return a metric like `number`, marked † where classes with few patients count in full."""
    text = number(field.metrics.get(metric), decimals)
    if not field.small_classes or metric not in EVERY_CLASS or metric not in field.metrics:
        return text
    value, space, interval = text.partition(" ")
    return f"{value}†{space}{interval}"


def class_counts(field: FieldScore) -> str:
    """Return how many answered patients each class has; empty for numbers and where none is."""
    if not field.confusion:
        return ""
    counts = zip(field.counts, map(sum, field.confusion), strict=True)
    said = (f"{name} {n}{'†' if name in field.small_classes else ''}" for name, n in counts)
    note = f" († {FEW})" if field.small_classes and field.evaluable else ""
    return f"Answered patients by label: {', '.join(said)}{note}."


def plain(value: float, decimals: int = 3) -> str:
    """Return a number with `decimals`; never a negative zero."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def rows_of(found: Evaluation) -> tuple[tuple[str, SetScore | None, str], ...]:
    """Return name, scores and reason of every set in order; scores None = not run, and why."""
    rows: list[tuple[str, SetScore | None, str]] = [("predictor", found.main, "")]
    extra = [name for name in found.others if name not in EXPECTED]
    for name in (*EXPECTED, *extra):
        if name in found.others:
            rows.append((name, found.others[name], ""))
        elif name in found.not_run:
            rows.append((name, None, found.not_run[name]))
    return tuple(rows)


def field_rows(found: Evaluation, field: str) -> tuple[tuple[str, FieldScore | None, str], ...]:
    """Return name, score and what is written in its place of every set; score None = no figures."""
    rows: list[tuple[str, FieldScore | None, str]] = []
    for who, scores, why in rows_of(found):
        own = None if scores is None else scores.fields[field]
        if own is None:
            rows.append((who, None, f"not run: {why}"))
        elif not own.evaluable:
            rows.append((who, None, f"not evaluable: {own.reason}"))
        else:
            rows.append((who, own, ""))
    return tuple(rows)


def answered(field: FieldScore) -> str:
    """Return how many labelled patients were answered, and what became of the others."""
    parts = [f"{field.answered} of {counted(field.n, 'labelled patient')} answered"]
    parts += [f"{field.abstained} abstained"] if field.abstained else []
    parts += [f"{field.missing} without an answer"] if field.missing else []
    return ", ".join(parts)


def compliance_text(free: Compliance) -> str:
    """Return what free generation did beside slot decoding, in two sentences."""
    return (
        f"{free.n} free texts: {free.json_object:.0%} are a JSON object, {free.fenced:.0%} hold "
        f"one among other text, {free.valid:.0%} follow the schema. Slot decoding answers within "
        f"the schema by construction; {free.decoded:.0%} of these patients have a value for every "
        "field."
    )


_FOLDERS: Final = re.compile(r"(?<=[:=])[/~.][^,]*/(?=[^,/]+)")
SHORT_SETS: Final = {
    "majority": "majority",
    "clinical": "clinical only",
    "mil": "MIL head",
    "zero_shot": "zero-shot base",
    "blank": "blank images",
    "shuffled": "shuffled images",
    "swapped": "other patient",
}
SUMMARY: Final = ("constant", "clinical", "mil", "blank", "shuffled")
SHORT: Final = {
    "balanced_accuracy": "bal. acc.",
    "auroc": "AUROC",
    "ece": "ECE",
    "spearman": "Spearman",
    "mae_skill": "MAE skill",
}


def summary_rows(found: Evaluation) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headers and rows of the short table: each field's first metrics beside baselines."""
    beside = [name for name in SUMMARY if name in found.others]
    rows = []
    for name, field in found.main.fields.items():
        for metric, label in SHORT.items():
            if metric not in field.metrics:
                continue
            others = (found.others[who].fields[name].metrics.get(metric) for who in beside)
            rows.append(
                (
                    name,
                    label,
                    figure(field, metric, 2),
                    *("–" if other is None else plain(other.value, 2) for other in others),
                )
            )
    return ("field", "metric", "predictor", *beside), rows


def not_evaluable(found: Evaluation) -> tuple[tuple[str, str], ...]:
    """Return the fields without figures, and why."""
    return tuple((n, f.reason) for n, f in found.main.fields.items() if not f.evaluable)


def comparison_row(found: Difference) -> tuple[str, ...]:
    """Return field, metric, n, both values, their difference with interval, p and Holm's p."""
    apart = number(Estimate(value=found.value, low=found.low, high=found.high))
    ps = ("–" if p is None else plain(p) for p in (found.p, found.p_holm))
    return (
        found.field,
        NAMES[found.metric],
        str(found.n),
        plain(found.one),
        plain(found.other),
        apart,
        *ps,
    )


def group_rows(found: Evaluation) -> tuple[list[tuple[str, ...]], str]:
    """Return by, group, field, n and figures of large groups, and a line on the small ones."""
    shown, small = large_enough(found.groups)
    rows: list[tuple[str, ...]] = []
    for group in shown:
        figures = "; ".join(f"{NAMES[k]} {number(v)}" for k, v in group.metrics.items())
        text = figures or f"not evaluable: {group.reason}"
        rows.append((group.by.replace("_", " "), group.group, group.field, str(group.n), text))
    line = f"{small} groups are too small for any figure; the JSON names them." if small else ""
    return rows, line


def difference_rows(found: Evaluation) -> list[tuple[str, ...]]:
    """Return field, metric, baseline, n, difference, p and Holm's p of the main metrics."""
    shown = (PRIMARY["class"], "auroc", PRIMARY["number"], "mae")
    rows: list[tuple[str, ...]] = []
    for d in found.differences:
        if d.metric not in shown:
            continue
        field, metric, n, _, _, *rest = comparison_row(d)
        rows.append((field, metric, SET_NAMES.get(d.against, d.against), n, *rest))
    return rows
