"""What one set of answers is worth on one field."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.words import counted
from immunopath.training.evaluation import calibration_metrics as calibration
from immunopath.training.evaluation import class_metrics as classes
from immunopath.training.evaluation import number_metrics as numbers
from immunopath.training.evaluation.calibration_metrics import ReliabilityPoint
from immunopath.training.evaluation.collect import FieldData
from immunopath.training.evaluation.counts import (
    MIN_POSITIVES,
    calls_of,
    confusion_of,
    small_classes,
    tally,
)
from immunopath.training.evaluation.resample import (
    DEFAULT,
    Estimate,
    Floats,
    Plan,
    estimates,
    over_rows,
    resamples,
)

MIN_NUMBERS: Final = 10
PRIMARY: Final = {"class": "balanced_accuracy", "number": "spearman"}
"""The metric by which a field is summed up."""
CENTRED: Final = ("ece", "quantile_error")
_CORRELATIONS: Final = ("spearman", "pearson")


class FieldScore(Frozen):
    """One field of one set.

    n: labelled patients; answered, abstained, missing: how they part; counts, calls: truth and
    answers by class (numbers: in tenths); metrics: by name, empty when not `evaluable` (then
    `reason`); confusion: rows truth, columns answers, in contract order; by_class: ``recall``,
    ``precision`` and ``auroc`` of every class with enough patients; small_classes: how many
    answered patients a class has that occurs and has fewer than `MIN_POSITIVES` (balanced accuracy
    and macro-F1 count it like any other); ece_floor: mean and 95th
    percentile of the ECE that this table would have if it told the truth.
    """

    field: str
    kind: str
    n: int
    answered: int
    abstained: int
    missing: int
    evaluable: bool
    reason: str = ""
    counts: dict[str, int]
    calls: dict[str, int]
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    by_class: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    small_classes: dict[str, int] = Field(default_factory=dict)
    reliability: tuple[ReliabilityPoint, ...] = ()
    ece_floor: tuple[float, float] | None = None

    @property
    def primary(self) -> Estimate | None:
        """The metric by which the field is summed up; None when not evaluable."""
        return self.metrics.get(PRIMARY[self.kind])


class Drawn:
    """One field of one set of answers in every resample of its patients; must be evaluable.

    Each figure is computed when it is first asked for and kept: the score, its parts by class and
    the differences from other sets are all taken from the same rows.
    """

    def __init__(self, data: FieldData, plan: Plan = DEFAULT) -> None:
        self.data, self.plan = data, plan

    def of(self, patients: Sequence[str]) -> "Drawn":
        """Return the part of these patients; itself where these are all, in their order."""
        part = self.data.of(patients)
        return self if part.patients == self.data.patients else Drawn(part, self.plan)

    @property
    def weights(self) -> Floats:
        """Resamples of the patients, (rows, n)."""
        return resamples(len(self.data), self.plan)

    @cached_property
    def rows(self) -> Mapping[str, Floats]:
        """Every metric, (rows,)."""
        return _number_rows(self) if self.data.values is None else _class_rows(self)

    @cached_property
    def confusion(self) -> Floats:
        """Confusion matrices of a field with classes, (rows, k, k)."""
        assert self.data.values is not None
        truth, called = self.data.truth.astype(np.int64), self.data.value.astype(np.int64)
        return classes.confusion(truth, called, len(self.data.values), self.weights)

    @cached_property
    def areas(self) -> Floats:
        """AUROC of each class against the rest, (rows, k); needs tables."""
        truth, table = self.data.truth.astype(np.int64), np.asarray(self.data.table)
        return over_rows(lambda w: classes.one_vs_rest(truth, table, w), self.weights)


def score(drawn: Drawn) -> FieldScore:
    """Return the score of a field with intervals by patient bootstrap."""
    data = drawn.data
    kind = "number" if data.values is None else "class"
    reason = why_not_evaluable(data)
    bare = FieldScore(
        field=data.field,
        kind=kind,
        n=len(data.labels),
        answered=len(data),
        abstained=data.abstained,
        missing=data.missing,
        evaluable=not reason,
        reason=reason,
        counts=tally(data, data.labels),
        calls=calls_of(data),
        confusion=confusion_of(data),
        small_classes=small_classes(data),
    )
    if reason:
        return bare
    more: dict[str, object] = {"metrics": measured(drawn)}
    if data.values is not None:
        more["by_class"] = _by_class(drawn, data.values)
    return bare.model_copy(update=more | _reliability(data, drawn.plan.seed))


def measured(drawn: Drawn) -> dict[str, Estimate]:
    """Return every metric of a field with its interval; the field must be evaluable."""
    metrics = estimates(drawn.rows, centred=CENTRED)
    if drawn.data.values is None and numbers.is_flat(drawn.data.value):
        metrics |= {
            name: Estimate(value=0.0, low=0.0, high=0.0, constant=True) for name in _CORRELATIONS
        }
    return metrics


def why_not_evaluable(data: FieldData) -> str:
    """Return why a field has no figures, or an empty string."""
    if data.why_empty:
        return data.why_empty
    return _too_few_numbers(data) if data.values is None else _too_few_classes(data, data.values)


def _too_few_numbers(data: FieldData) -> str:
    if np.ptp(data.truth) == 0:
        return f"all labels are {data.truth[0]:g}"
    if len(data) < MIN_NUMBERS:
        return f"{counted(len(data), 'patient')}, at least {MIN_NUMBERS} are needed"
    return ""


def _too_few_classes(data: FieldData, values: tuple[str, ...]) -> str:
    counts = Counter(data.truth.astype(int).tolist())
    if len(counts) == 1:
        return f"all {len(data)} labels are {values[next(iter(counts))]!r}"
    if sum(n >= MIN_POSITIVES for n in counts.values()) >= 2:
        return ""
    rare = min(sorted(counts), key=lambda code: counts[code])
    return (
        f"{counts[rare]} of {len(data)} patients are {values[rare]!r}; two classes with at "
        f"least {MIN_POSITIVES} patients are needed"
    )


def _class_rows(drawn: Drawn) -> Mapping[str, Floats]:
    rows = {
        "balanced_accuracy": classes.balanced_accuracy(drawn.confusion),
        "accuracy": classes.accuracy(drawn.confusion),
        "macro_f1": classes.macro_f1(drawn.confusion),
    }
    p, truth, weights = drawn.data.table, drawn.data.truth.astype(np.int64), drawn.weights
    if p is None:
        return rows
    said, seen = calibration.confidence_of(truth, p)
    return rows | {
        "auroc": classes.macro_auroc(drawn.areas, truth, MIN_POSITIVES),
        "brier": classes.brier(truth, p, weights),
        "log_loss": classes.log_loss(truth, p, weights),
        "ece": over_rows(lambda w: calibration.ece_rows(said, seen, w), weights),
    }


def _number_rows(drawn: Drawn) -> Mapping[str, Floats]:
    data, weights = drawn.data, drawn.weights
    truth, value = data.truth, data.value
    rows = {
        "spearman": over_rows(lambda w: numbers.spearman(truth, value, w), weights),
        "pearson": over_rows(lambda w: numbers.pearson(truth, value, w), weights),
        "mae": numbers.mae(truth, value, weights),
        "mae_skill": over_rows(lambda w: numbers.mae_skill(truth, value, w), weights),
        "r2": over_rows(lambda w: numbers.r_squared(truth, value, w), weights),
    }
    if data.table is None:
        return rows
    inside, width = calibration.covered(truth, data.table)
    return rows | {
        "crps": classes.weighted_mean(calibration.crps(truth, data.table), weights),
        "coverage_90": classes.weighted_mean(inside, weights),
        "width_90": classes.weighted_mean(width, weights),
        "quantile_error": calibration.quantile_error(truth, data.table, weights),
    }


def _by_class(drawn: Drawn, values: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    table, found = drawn.confusion, {}
    for code, name in enumerate(values):
        if (drawn.data.truth == code).sum() < MIN_POSITIVES:
            continue
        rows = {
            "recall": classes.share(table[:, code, code], table[:, code].sum(axis=1)),
            "precision": classes.share(table[:, code, code], table[:, :, code].sum(axis=1)),
        }
        if drawn.data.table is not None:
            rows["auroc"] = drawn.areas[:, code]
        found[name] = estimates(rows)
    return found


def _reliability(data: FieldData, seed: int) -> dict[str, object]:
    if data.table is None:
        return {}
    if data.values is None:
        return {"reliability": calibration.number_reliability(data.truth, data.table)}
    said, seen = calibration.confidence_of(data.truth.astype(np.int64), data.table)
    return {
        "reliability": calibration.reliability(said, seen),
        "ece_floor": calibration.ece_if_calibrated(data.table, seed=seed),
    }
