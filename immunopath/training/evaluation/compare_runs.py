"""Two evaluations against each other, patient by patient."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.evaluation.collect import collect
from immunopath.training.evaluation.compare import Difference, differences
from immunopath.training.evaluation.evaluate import origin_of
from immunopath.training.evaluation.request import MAIN
from immunopath.training.evaluation.resample import DEFAULT, Plan
from immunopath.training.evaluation.score import Drawn
from immunopath.training.evaluation.write import ANSWERS
from immunopath.training.predictions import PredictionSet, read_predictions
from immunopath.training.samples import SAMPLES, Sample, read_samples

_LOWER_IS_BETTER: Final = frozenset({"mae", "brier", "log_loss", "ece", "crps", "quantile_error"})
SHOWN_BELOW: Final = 0.05
"""Holm-adjusted p above which no run is called better."""
_NEITHER: Final = frozenset({"coverage_90", "width_90"})
"""A coverage is right, not large; a width says nothing alone."""


class Comparison(Frozen):
    """Run `one` minus run `other` on the `n` patients of both.

    one, other: engine and the start of its digest; left_out: patients of one run alone; origin: of
    the labels, as in `Evaluation`.
    """

    one: str
    other: str
    n: int
    left_out: int
    origin: str
    draws: int
    seed: int
    differences: tuple[Difference, ...]


def compare_runs(one: Path, other: Path, plan: Plan = DEFAULT) -> Comparison:
    """Return the paired differences of two folders that ``immunopath evaluate`` wrote.

    Raises `CaseFileError` when a folder lacks a file, when the two share no patient, or when they
    label a patient differently, because then their figures are not about the same truth.
    """
    (truth_a, a), (truth_b, b) = _read(one), _read(other)
    by_id = {sample.patient_id: sample for sample in truth_b}
    common = [sample for sample in truth_a if sample.patient_id in by_id]
    if not common:
        raise CaseFileError(f"{one} and {other}: have no patient in common, so nothing is paired")
    for sample in common:
        _require_same_labels(sample, by_id[sample.patient_id], one, other)
    drawn_a, drawn_b = (
        {name: Drawn(collect(common, found, name), plan) for name in FIELD_VALUES}
        for found in (a, b)
    )
    label_b = _label(b)
    return Comparison(
        one=_label(a),
        other=label_b,
        n=len(common),
        left_out=len(truth_a) + len(truth_b) - 2 * len(common),
        origin=origin_of(common),
        draws=plan.draws,
        seed=plan.seed,
        differences=differences(drawn_a, drawn_b, label_b),
    )


def verdict(found: Difference) -> str:
    """Return which run is better on a metric: ``first``, ``second``, or neither is shown to be.

    Shown = the interval leaves 0 out, and so does the p that counts how many fields were tested.
    """
    if found.metric in _NEITHER:
        return ""
    if found.low is None or found.high is None or found.low <= 0 <= found.high:
        return "not shown"
    if found.p_holm is None or found.p_holm > SHOWN_BELOW:
        return "not shown"
    higher = found.low > 0
    return "first" if higher != (found.metric in _LOWER_IS_BETTER) else "second"


def _read(folder: Path) -> tuple[Sequence[Sample], PredictionSet]:
    return read_samples(folder / SAMPLES), read_predictions(folder / ANSWERS / f"{MAIN}.json")


def _require_same_labels(a: Sample, b: Sample, one: Path, other: Path) -> None:
    for name in FIELD_VALUES:
        if a.label(name) != b.label(name):
            raise CaseFileError(
                f"{one} and {other}: patient {a.patient_id!r} has {name} {a.label(name)!r} in one "
                f"and {b.label(name)!r} in the other; evaluate both on the same labels"
            )


def _label(found: PredictionSet) -> str:
    return f"{found.engine} ({found.digest[:12]})"
