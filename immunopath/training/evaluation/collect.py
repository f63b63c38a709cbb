"""Truth and answers of one field side by side, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import FIELD_VALUES, GRID
from immunopath.domain.words import counted
from immunopath.training.evaluation.resample import Floats
from immunopath.training.predictions import FieldAnswer, PredictionSet
from immunopath.training.samples import Label, Sample


@dataclass(frozen=True)
class FieldData:
    """One field of one set of answers.

    patients: labelled and answered ones, length m; truth, value: class codes in contract order or
    numbers, (m,); table: probabilities, (m, classes) or (m, 101) over the grid, None unless every
    answer has them. labels: of all labelled patients, answered or not; abstained, missing: labelled
    patients without a value, and without any answer.
    """

    field: str
    patients: tuple[str, ...]
    truth: Floats
    value: Floats
    table: Floats | None
    labels: tuple[Label, ...]
    abstained: int
    missing: int

    @property
    def values(self) -> tuple[str, ...] | None:
        """Allowed values; None for a number."""
        return FIELD_VALUES[self.field]

    @property
    def why_empty(self) -> str:
        """Why there is nothing to compare, or an empty string."""
        if not self.labels:
            return "no patient has a label"
        return (
            ""
            if len(self)
            else f"none of {counted(len(self.labels), 'labelled patient')} has an answer"
        )

    def __len__(self) -> int:
        return len(self.patients)

    def of(self, patients: Sequence[str]) -> "FieldData":
        """Return the part of these patients, in their order; those without an answer are left out.

        The counts of labels, abstentions and missing answers stay those of the whole.
        """
        place = {patient: i for i, patient in enumerate(self.patients)}
        keep = [place[patient] for patient in patients if patient in place]
        return replace(
            self,
            patients=tuple(self.patients[i] for i in keep),
            truth=self.truth[keep],
            value=self.value[keep],
            table=None if self.table is None else self.table[keep],
        )


def collect(samples: Sequence[Sample], found: PredictionSet, field: str) -> FieldData:
    """Return truth and answers of a field over `samples`; patients without a label do not count.

    Raises `CaseFileError` for an answer outside the field's values.
    """
    by_id = {answer.patient_id: answer for answer in found.answers}
    labelled = [sample for sample in samples if sample.label(field) is not None]
    kept: list[tuple[Sample, FieldAnswer]] = []
    abstained = missing = 0
    for sample in labelled:
        patient = by_id.get(sample.patient_id)
        answer = None if patient is None else patient.fields.get(field)
        if patient is None:
            missing += 1
        elif answer is None or answer.value is None:
            abstained += 1
        else:
            kept.append((sample, answer))
    who = found.engine
    return FieldData(
        field=field,
        patients=tuple(sample.patient_id for sample, _ in kept),
        truth=_codes([(s.patient_id, s.label(field)) for s, _ in kept], field, "labels"),
        value=_codes([(s.patient_id, a.value) for s, a in kept], field, who),
        table=_table([(s.patient_id, a.probabilities) for s, a in kept], field, who),
        labels=tuple(sample.label(field) for sample in labelled),
        abstained=abstained,
        missing=missing,
    )


def tenth_of(number: float) -> int:
    """Return the tenth of [0, 1] that a number lies in, 0 to 9; 1 belongs to the last."""
    return min(int(number * 10 + 1e-9), 9)


def _codes(pairs: Sequence[tuple[str, Label]], field: str, who: str) -> Floats:
    allowed = FIELD_VALUES[field]
    found = np.zeros(len(pairs))
    for i, (patient, value) in enumerate(pairs):
        if allowed is None:
            if isinstance(value, str) or value is None or not 0 <= value <= 1:
                raise CaseFileError(
                    f"{who}: patient {patient!r}: {field} {value!r} is not a number in [0, 1]"
                )
            found[i] = value
        elif value in allowed:
            found[i] = allowed.index(str(value))
        else:
            raise CaseFileError(
                f"{who}: patient {patient!r}: {field} {value!r} is not one of {', '.join(allowed)}"
            )
    return found


def _table(pairs: Sequence[tuple[str, Mapping[str, float]]], field: str, who: str) -> Floats | None:
    if not pairs or any(not table for _, table in pairs):
        return None
    keys = FIELD_VALUES[field] or GRID
    place = {key: i for i, key in enumerate(keys)}
    found = np.zeros((len(pairs), len(keys)))
    for i, (patient, table) in enumerate(pairs):
        for key, probability in table.items():
            if key not in place:
                raise CaseFileError(
                    f"{who}: patient {patient!r}: {field} has a probability for {key!r}, which is "
                    "none of its values" + (" (0.00 to 1.00)" if keys is GRID else "")
                )
            found[i, place[key]] = probability
    return np.asarray(found / found.sum(axis=1, keepdims=True))
