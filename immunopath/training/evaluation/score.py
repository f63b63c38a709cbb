"""What one set of answers is worth on one field."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.training.evaluation import calibration_metrics as calibration
from immunopath.training.evaluation import class_metrics as classes
from immunopath.training.evaluation import number_metrics as numbers
from immunopath.training.evaluation.calibration_metrics import ReliabilityPoint
from immunopath.training.evaluation.collect import FieldData, tenth_of
from immunopath.training.evaluation.resample import (
    DEFAULT,
    Estimate,
    Floats,
    Plan,
    estimates,
    over_rows,
    resamples,
)

MIN_POSITIVES: Final = 10
"""A class with fewer answered patients cannot be evaluated; a field needs two that can."""
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
    ``precision`` and ``auroc`` of every class with enough patients; ece_floor: mean and 95th
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
    reliability: tuple[ReliabilityPoint, ...] = ()
    ece_floor: tuple[float, float] | None = None

    @property
    def primary(self) -> Estimate | None:
        """The metric by which the field is summed up; None when not evaluable."""
        return self.metrics.get(PRIMARY[self.kind])


def metric_rows(data: FieldData, weights: Floats) -> dict[str, Floats]:
    """Return every metric of a field in every resample; `weights`: (rows, len(data))."""
    found = _number_rows(data, weights) if data.values is None else _class_rows(data, weights)
    return dict(found)


def score(data: FieldData, plan: Plan = DEFAULT) -> FieldScore:
    """Return the score of a field with intervals by patient bootstrap."""
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
        calls=_calls(data),
        confusion=_confusion(data),
    )
    if reason:
        return bare
    weights = resamples(len(data), plan)
    more: dict[str, object] = {"metrics": measured(data, weights)}
    if data.values is not None:
        more["by_class"] = _by_class(data, weights)
    return bare.model_copy(update=more | _reliability(data, plan.seed))


def measured(data: FieldData, weights: Floats) -> dict[str, Estimate]:
    """Return every metric of a field with its interval; the field must be evaluable."""
    metrics = estimates(metric_rows(data, weights), centred=CENTRED)
    if data.values is None and numbers.is_flat(data.value):
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
        return f"{len(data)} patients, at least {MIN_NUMBERS} are needed"
    return ""


def _too_few_classes(data: FieldData, values: tuple[str, ...]) -> str:
    counted = Counter(data.truth.astype(int).tolist())
    if len(counted) == 1:
        return f"all {len(data)} labels are {values[next(iter(counted))]!r}"
    if sum(n >= MIN_POSITIVES for n in counted.values()) >= 2:
        return ""
    rare = min(sorted(counted), key=lambda code: counted[code])
    return (
        f"{counted[rare]} of {len(data)} patients are {values[rare]!r}; two classes with at "
        f"least {MIN_POSITIVES} patients are needed"
    )


def tally(data: FieldData, given: tuple[object, ...]) -> dict[str, int]:
    """Return how often each class occurs in contract order; numbers are counted in tenths."""
    if data.values is not None:
        counted = Counter(given)
        return {value: counted[value] for value in data.values}
    tenths = Counter(tenth_of(float(str(v))) for v in given)
    return {f"{k / 10:.1f}-{(k + 1) / 10:.1f}": tenths[k] for k in range(10)}


def _calls(data: FieldData) -> dict[str, int]:
    if data.values is None:
        return tally(data, tuple(data.value.tolist()))
    return tally(data, tuple(data.values[int(code)] for code in data.value))


def _confusion(data: FieldData) -> tuple[tuple[int, ...], ...]:
    if data.values is None or not len(data):
        return ()
    truth, called = data.truth.astype(np.int64), data.value.astype(np.int64)
    table = classes.confusion(truth, called, len(data.values), np.ones((1, len(data))))[0]
    return tuple(tuple(int(cell) for cell in row) for row in table)


def _class_rows(data: FieldData, weights: Floats) -> Mapping[str, Floats]:
    assert data.values is not None
    truth, called, k = data.truth.astype(np.int64), data.value.astype(np.int64), len(data.values)
    table = over_rows(lambda w: classes.confusion(truth, called, k, w), weights)
    rows = {
        "balanced_accuracy": classes.balanced_accuracy(table),
        "accuracy": classes.accuracy(table),
        "macro_f1": classes.macro_f1(table),
    }
    if data.table is None:
        return rows
    p = data.table
    said, seen = calibration.confidence_of(truth, p)
    return rows | {
        "auroc": over_rows(lambda w: classes.macro_auroc(truth, p, w, MIN_POSITIVES), weights),
        "brier": classes.brier(truth, p, weights),
        "log_loss": classes.log_loss(truth, p, weights),
        "ece": over_rows(lambda w: calibration.ece_rows(said, seen, w), weights),
    }


def _number_rows(data: FieldData, weights: Floats) -> Mapping[str, Floats]:
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


def _by_class(data: FieldData, weights: Floats) -> dict[str, dict[str, Estimate]]:
    assert data.values is not None
    truth, called, k = data.truth.astype(np.int64), data.value.astype(np.int64), len(data.values)
    table = over_rows(lambda w: classes.confusion(truth, called, k, w), weights)
    areas = (
        None
        if data.table is None
        else over_rows(lambda w: classes.one_vs_rest(truth, np.asarray(data.table), w), weights)
    )
    found = {}
    for code, name in enumerate(data.values):
        if (truth == code).sum() < MIN_POSITIVES:
            continue
        rows = {
            "recall": classes.share(table[:, code, code], table[:, code].sum(axis=1)),
            "precision": classes.share(table[:, code, code], table[:, :, code].sum(axis=1)),
        }
        if areas is not None:
            rows["auroc"] = areas[:, code]
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
