"""From answers on validation patients to a calibrator.

Patients of one field are divided in two by a seed: on one part the tables are corrected, on the
other the conformal thresholds are taken and the calibration errors measured, so that neither sees
what it judges.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.errors import InputError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.words import counted
from immunopath.models.calibration import FieldCalibration
from immunopath.models.calibration_math import CELLS, Rows
from immunopath.training.calibration.conformal import interval_margin, set_threshold
from immunopath.training.calibration.correction import (
    HIGHEST,
    Correction,
    choose,
    fit_number_temperature,
)
from immunopath.training.evaluation.calibration_metrics import (
    confidence_of,
    ece,
    quantile_error,
)
from immunopath.training.evaluation.collect import FieldData, collect
from immunopath.training.evaluation.resample import Floats, Ints
from immunopath.training.predictions import PredictionSet
from immunopath.training.samples import Sample

DRAWS: Final = 100


class FitOptions(Frozen):
    """How a calibrator is fitted.

    coverage: of sets and intervals; method, sets, intervals: see `correction.choose` and
    `calibration_math`; min_cases: answered and labelled patients of a field, min_class: of each of
    its values, below which it is not evaluable (project-set limits); share: of the patients on
    which the correction is fitted; seed: of the division.
    """

    coverage: float = Field(default=0.9, ge=0.5, le=0.99)
    method: Literal["auto", "temperature", "isotonic"] = "auto"
    sets: Literal["lac", "aps"] = "lac"
    intervals: Literal["cqr", "residual"] = "cqr"
    min_cases: int = Field(default=50, ge=4)
    min_class: int = Field(default=10, ge=2)
    share: float = Field(default=0.5, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


def options_of(given: Mapping[str, object]) -> FitOptions:
    """Return the options of a command line; raises `InputError` naming the one that cannot be."""
    try:
        return FitOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise InputError(f"--{name} {first['input']}: {first['msg'].lower()}") from error


def fit_fields(
    samples: Sequence[Sample], found: PredictionSet, options: FitOptions
) -> tuple[FieldCalibration, ...]:
    """Return the entries of all eight fields in contract order; samples: the split's patients."""
    return tuple(fit_field(collect(samples, found, name), options) for name in FIELD_VALUES)


def fit_field(data: FieldData, options: FitOptions) -> FieldCalibration:
    """Return the calibration of one field, or an entry that says why it is not evaluable."""
    counts = counts_of(data)
    reason = why_not(data, options)
    if reason or data.table is None:
        return FieldCalibration(field=data.field, evaluable=False, reason=reason, counts=counts)
    fit, rest = divide(data.patients, options)
    number = data.values is None
    correction = _correct(data, fit, options)
    if correction.empty:
        reason = (
            f"the tables say nothing of the labels: the best temperature is {HIGHEST:g} or more"
        )
        return FieldCalibration(field=data.field, evaluable=False, reason=reason, counts=counts)
    before, truth = data.table[rest], data.truth[rest]
    after = correction.apply(before)
    if number:
        sets: Any = options.intervals
        threshold = interval_margin(after, truth, options.intervals, options.coverage)
    else:
        sets = options.sets
        codes = truth.astype(np.int64)
        threshold = set_threshold(after, codes, options.sets, options.coverage)
    return FieldCalibration(
        field=data.field,
        evaluable=True,
        counts=counts,
        n_fit=len(fit),
        n_conformal=len(rest),
        method=correction.method,
        temperature=correction.temperature,
        curve=correction.curve,
        set_method=sets,
        threshold=threshold,
        coverage=options.coverage,
        error_before=error_of(before, truth, number=number),
        error_after=error_of(after, truth, number=number),
        error_expected=expected_error(after, options.seed, number=number),
    )


def counts_of(data: FieldData) -> dict[str, int]:
    """Return how many labelled patients carry each value, answered or not; empty for a number."""
    counted = Counter(data.labels)
    return {value: counted[value] for value in data.values or ()}


def why_not(data: FieldData, options: FitOptions) -> str:
    """Return why a field cannot be calibrated, with counts, or an empty string."""
    n, least = len(data), options.min_cases
    codes = Counter(data.truth.astype(int).tolist())
    counts = {value: codes[code] for code, value in enumerate(data.values or ())}
    rare = min(counts, key=lambda value: counts[value]) if counts else ""
    checks = (
        (bool(data.why_empty), data.why_empty),
        (data.table is None, "the engine states no probabilities"),
        (n < least, f"{counted(n, 'patient')} with label and answer, at least {least} are needed"),
        (not counts and n > 0 and np.ptp(data.truth) == 0, "all labels are the same number"),
        (
            bool(counts) and counts[rare] < options.min_class,
            f"{counts.get(rare)} of {n} are {rare}, at least {options.min_class} are needed",
        ),
    )
    return next((reason for failed, reason in checks if failed), "")


def divide(patients: Sequence[str], options: FitOptions) -> tuple[Ints, Ints]:
    """Return the places of the patients of either part; the order of the file does not matter."""
    order = np.argsort(np.asarray(patients), kind="stable")
    mixed = np.random.default_rng(options.seed).permutation(len(order))
    cut = min(max(round(options.share * len(order)), 1), len(order) - 1)
    return order[np.sort(mixed[:cut])], order[np.sort(mixed[cut:])]


def error_of(rows: Rows, truth: Floats, *, number: bool) -> float:
    """Return the calibration error of tables, in [0, 1].

    Of a category the ECE over equal-mass bins, of a number the mean gap between the share of truths
    below a quantile and its level.
    """
    if number:
        return float(quantile_error(truth, rows, np.ones((1, len(truth))))[0])
    return ece(*confidence_of(truth.astype(np.int64), rows))


def expected_error(rows: Rows, seed: int, *, number: bool, draws: int = DRAWS) -> float:
    """Return the mean `error_of` when labels are drawn from the tables themselves."""
    rng = np.random.default_rng(seed)
    reached = np.cumsum(rows, axis=1)[:, :-1]
    found = []
    for _ in range(draws):
        codes = (rng.random((len(rows), 1)) > reached).sum(axis=1)
        truth = CELLS[codes] if number else codes.astype(np.float64)
        found.append(error_of(rows, truth, number=number))
    return float(np.mean(found))


def _correct(data: FieldData, fit: Ints, options: FitOptions) -> Correction:
    rows, truth = np.asarray(data.table)[fit], data.truth[fit]
    if data.values is None:
        return fit_number_temperature(rows, truth)
    return choose(rows, truth.astype(np.int64), options.method, options.seed)
