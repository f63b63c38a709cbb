"""Two cohort runs on the same cases: changed calls, changed recommendations, paired intervals."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.cohort import CaseRecord, FieldSummary
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.domain.files import read_bounded
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.evaluation.class_metrics import weighted_mean
from immunopath.training.evaluation.resample import (
    DEFAULT,
    Estimate,
    Floats,
    Plan,
    estimate,
    resamples,
)

ABSTAINED: Final = "abstained"


class FieldChange(Frozen):
    """One field in both runs, over the cases that have a report in both.

    changed: share of cases whose call differs, abstentions included (a number differs when it is
    another number); difference: mean of B minus A where both are numbers of one quantity; pairs:
    call in A -> call in B -> cases, of categories; why_not: why numbers are not subtracted.
    """

    field: str
    n: int
    changed: Estimate
    n_numbers: int = 0
    difference: Estimate | None = None
    pairs: dict[str, dict[str, int]] = Field(default_factory=dict)
    why_not: str = ""


class CaseChange(Frozen):
    """What changed in one case: name of the field or recommendation -> (in A, in B)."""

    case_id: str
    changes: dict[str, tuple[str, str]]


class RunComparison(Frozen):
    """Two runs side by side. only_a, only_b: cases without a counterpart, or without a report."""

    n: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    fields: tuple[FieldChange, ...]
    recommendations: dict[str, Estimate]
    """Share of cases whose category, triage level or set of tests differs."""
    cases: tuple[CaseChange, ...]


def read_run(folder: Path) -> dict[str, CaseRecord]:
    """Return the records of a cohort folder by case id; raises `CaseFileError` for another one."""
    files = sorted((folder / "records").glob("*.json")) if folder.is_dir() else []
    if not files:
        raise CaseFileError(f"{folder}: holds no cohort run (no records); give its output folder")
    found: dict[str, CaseRecord] = {}
    for file in files:
        try:
            record = CaseRecord.model_validate_json(read_bounded(file))
        except (OSError, ValidationError) as error:
            raise CaseFileError(f"{file}: is no record of a case; run the cohort again") from error
        found[record.case_id] = record
    return found


def compare_runs(
    a: Mapping[str, CaseRecord], b: Mapping[str, CaseRecord], plan: Plan = DEFAULT
) -> RunComparison:
    """Return what differs; raises `InputError` when no case has a report in both runs.

    Intervals are of a bootstrap over patients: cases of one patient are drawn together.
    """
    both = sorted(case for case in a.keys() & b.keys() if a[case].fields and b[case].fields)
    if not both:
        raise InputError("no case has a report in both runs; compare runs of the same manifest")
    ones, others = [a[case] for case in both], [b[case] for case in both]
    weights = _weights(ones, plan)
    fields = tuple(_field(name, ones, others, weights) for name in FIELD_VALUES)
    kinds = {name: _differs(read, ones, others) for name, read in _RECOMMENDATIONS.items()}
    cases = (_case(one, other) for one, other in zip(ones, others, strict=True))
    return RunComparison(
        n=len(both),
        only_a=tuple(sorted(a.keys() - set(both))),
        only_b=tuple(sorted(b.keys() - set(both))),
        fields=fields,
        recommendations={name: _share(flags, weights) for name, flags in kinds.items()},
        cases=tuple(change for change in cases if change.changes),
    )


def _weights(records: Sequence[CaseRecord], plan: Plan) -> Floats:
    """Return how often each case counts in each resample of the patients, (draws + 1, cases)."""
    patients = [record.patient_id or f"case {record.case_id}" for record in records]
    order = {patient: i for i, patient in enumerate(dict.fromkeys(patients))}
    return resamples(len(order), plan)[:, [order[patient] for patient in patients]]


def _share(flags: Floats, weights: Floats) -> Estimate:
    return estimate(weighted_mean(flags, weights))


def _call(record: CaseRecord, name: str) -> FieldSummary:
    return next(field for field in record.fields if field.field == name)


def _text(field: FieldSummary) -> str:
    return ABSTAINED if field.value is None else str(field.value)


def _field(
    name: str, ones: Sequence[CaseRecord], others: Sequence[CaseRecord], weights: Floats
) -> FieldChange:
    a, b = [_call(r, name) for r in ones], [_call(r, name) for r in others]
    pairs = list(zip(a, b, strict=True))
    flags = np.array([_text(x) != _text(y) for x, y in pairs], dtype=np.float64)
    shared = {"field": name, "n": len(pairs), "changed": _share(flags, weights)}
    if FIELD_VALUES[name] is not None:
        table: dict[str, Counter[str]] = {}
        for x, y in pairs:
            table.setdefault(_text(x), Counter())[_text(y)] += 1
        return FieldChange.model_validate(
            shared | {"pairs": {k: dict(sorted(v.items())) for k, v in sorted(table.items())}}
        )
    numbers = [i for i, (x, y) in enumerate(pairs) if None not in {x.value, y.value}]
    quantities = {pairs[i][side].quantity for i in numbers for side in (0, 1)}
    if len(quantities) > 1:
        text = f"different quantities are never subtracted: {', '.join(sorted(quantities))}"
        return FieldChange.model_validate(shared | {"n_numbers": len(numbers), "why_not": text})
    if not numbers:
        return FieldChange.model_validate(shared | {"why_not": "no case has a number in both"})
    values = np.array([[x.value for x in pairs[i]] for i in numbers], dtype=np.float64)
    mean = _share(values[:, 1] - values[:, 0], weights[:, numbers])
    return FieldChange.model_validate(shared | {"n_numbers": len(numbers), "difference": mean})


_RECOMMENDATIONS: Final[Mapping[str, Callable[[CaseRecord], str]]] = {
    "category": lambda record: record.category or "none",
    "triage_level": lambda record: (record.queue.level if record.queue else None) or "none",
    "tests": lambda record: ", ".join(sorted(record.tests)) or "none",
}


def _differs(
    read: Callable[[CaseRecord], str], ones: Sequence[CaseRecord], others: Sequence[CaseRecord]
) -> Floats:
    pairs = zip(ones, others, strict=True)
    return np.array([read(one) != read(other) for one, other in pairs], dtype=np.float64)


def _case(one: CaseRecord, other: CaseRecord) -> CaseChange:
    changes = {}
    for name in FIELD_VALUES:
        a, b = _text(_call(one, name)), _text(_call(other, name))
        if a != b:
            changes[name] = (a, b)
    for name, read in _RECOMMENDATIONS.items():
        if read(one) != read(other):
            changes[name] = (read(one), read(other))
    return CaseChange(case_id=one.case_id, changes=changes)
