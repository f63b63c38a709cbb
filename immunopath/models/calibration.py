"""What makes a checkpoint's tables probabilities: the file ``calibration.json`` beside its record.

Written by ``immunopath calibrate`` from answers on validation data and read by every predictor that
states tables. It belongs to one checkpoint, asked in one way; another's is refused.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CalibratorMismatch
from immunopath.domain.files import write_text
from immunopath.domain.json_file import JsonFile
from immunopath.domain.prediction import FIELD_VALUES, GRID
from immunopath.domain.words import counted
from immunopath.models.calibration_math import (
    Knots,
    Row,
    Rows,
    corrected,
    intervals,
    medians,
    members,
)

FILE: Final = "calibration.json"
Method = Literal["temperature", "isotonic"]
SetMethod = Literal["lac", "aps", "cqr", "residual"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class CalibratedTable:
    """A table as it may be stated.

    probabilities: over the same values, sum 1; value: the most probable one, or the median of a
    number; prediction_set (categories) and interval (numbers, within [0, 1]) hold the truth with
    probability `coverage` over cases like those of the fit; None where nothing is promised.
    calibrated: False when the table was passed through, and `reason` says why.
    """

    probabilities: dict[str, float]
    value: str | float
    prediction_set: tuple[str, ...] | None
    interval: tuple[float, float] | None
    coverage: float | None
    calibrated: bool
    reason: str = ""


class FieldCalibration(Frozen):
    """One field of a calibrator.

    counts: labelled patients by value, answered or not (empty for a number). n_fit: cases for the
    correction of the table; n_conformal: the others, for the set. curve: knots of P(first value)
    before and after, of isotonic regression. threshold: the conformal quantile of the scores (`lac`
    and `aps` in [0, 1]; `cqr` and `residual` in [-1, 1], added to both sides). error_before,
    error_after: calibration error on the `n_conformal` cases, which the correction has not seen;
    error_expected: that of tables that tell the truth on as many cases, by drawing labels.
    """

    field: str
    evaluable: bool
    reason: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    n_fit: int = Field(default=0, ge=0)
    n_conformal: int = Field(default=0, ge=0)
    method: Method | None = None
    temperature: float | None = Field(default=None, gt=0)
    curve: Knots = ()
    set_method: SetMethod | None = None
    threshold: float | None = Field(default=None, ge=-1, le=1)
    coverage: float | None = Field(default=None, gt=0, lt=1)
    error_before: float | None = None
    error_after: float | None = None
    error_expected: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.field not in FIELD_VALUES:
            raise ValueError(f"{self.field!r} is not one of the eight fields")
        if not self.evaluable:
            if not self.reason or self.method is not None:
                raise ValueError(f"{self.field}: not evaluable, so a reason and no method")
            return self
        if (self.method == "temperature") != (self.temperature is not None):
            raise ValueError(f"{self.field}: a temperature belongs to the method temperature")
        if (self.method == "isotonic") != (len(self.curve) > 0):
            raise ValueError(f"{self.field}: a curve belongs to the method isotonic")
        if self.method is None or None in {self.set_method, self.threshold, self.coverage}:
            raise ValueError(f"{self.field}: method, set_method, threshold and coverage are needed")
        self._right_kind()
        return self

    def _right_kind(self) -> None:
        values = FIELD_VALUES[self.field]
        if (values is None) != (self.set_method in {"cqr", "residual"}):
            raise ValueError(f"{self.field}: {self.set_method} does not fit this kind of field")
        if self.curve and (values is None or len(values) != 2):
            raise ValueError(f"{self.field}: isotonic is for fields with two values")
        knots = list(self.curve)
        if knots != sorted(knots) or [y for _, y in knots] != sorted(y for _, y in knots):
            raise ValueError(f"{self.field}: the curve must ascend")
        if not all(0 <= part <= 1 for knot in knots for part in knot):
            raise ValueError(f"{self.field}: the curve must lie in [0, 1]")

    def apply(self, probabilities: Mapping[str, float]) -> CalibratedTable:
        """Return the table as it may be stated; passed through when the field is not evaluable.

        `probabilities`: over all allowed values, or over cells of `GRID` (those that are missing
        count as zero); sum 1. A table of other values raises `CalibratorMismatch`.
        """
        names = FIELD_VALUES[self.field] or GRID
        self._check_names(probabilities)
        rows = np.array([[probabilities.get(name, 0.0) for name in names]], dtype=np.float64)
        if not self.evaluable:
            value = self._value(names, rows)
            return CalibratedTable(dict(probabilities), value, None, None, None, False, self.reason)
        after = self.corrected(rows)
        table = {name: float(p) for name, p in zip(names, after[0], strict=True)}
        value = self._value(names, after)
        if FIELD_VALUES[self.field] is None:
            low, high = self.intervals(after)
            span = (float(low[0]), float(high[0]))
            return CalibratedTable(table, value, None, span, self.coverage, True)
        inside = self.members(after)[0]
        chosen = tuple(name for name, is_in in zip(names, inside, strict=True) if is_in)
        return CalibratedTable(table, value, chosen, None, self.coverage, True)

    def corrected(self, rows: Rows) -> Rows:
        """Return tables after temperature or curve, (n, k); columns in the order of the table."""
        number = FIELD_VALUES[self.field] is None
        return corrected(rows, self.temperature, self.curve, number=number)

    def intervals(self, rows: Rows) -> tuple[Row, Row]:
        """Return low and high of corrected tables of a number, (n,)."""
        method, margin = str(self.set_method), float(self.threshold or 0)
        return intervals(rows, method, float(self.coverage or 0), margin)

    def members(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which values belong to the sets of corrected tables of a category, (n, k)."""
        return members(rows, str(self.set_method), float(self.threshold or 0))

    def _value(self, names: tuple[str, ...], rows: Rows) -> str | float:
        if FIELD_VALUES[self.field] is None:
            return float(medians(rows)[0])
        return names[int(rows[0].argmax())]

    def _check_names(self, table: Mapping[str, float]) -> None:
        values = FIELD_VALUES[self.field]
        odd = set(table) - set(GRID) if values is None else set(table) ^ set(values)
        if odd:
            raise CalibratorMismatch(
                f"{self.field}: the table and the calibrator do not share {', '.join(sorted(odd))}"
            )


class Calibrator(Frozen):
    """The calibration of one checkpoint.

    version: of the immunopath that fitted it. engine: as the predictions name it. checkpoint: the
    digest of what answered (the predictor's own weights digest). predictions, samples: SHA-256 of
    the files it was fitted on. conditioning: as in `FieldPrediction`. preprocess: how the engine
    asked and what it was shown, as in `Provenance`; empty when the predictions do not say. split:
    of the patients. origins: of their labels (``synthetic`` never speaks for patients). n: patients
    with an answer; patients: their short digests (`immunopath.training.seen.key_of`). n_tiles:
    least and greatest number of tiles of a case. seed: of the division between correction and
    sets. stopped_on: how many of the `n` patients also decided when the checkpoint's training
    stopped; None when no record says it (rendered patients are in no record).
    """

    schema_version: Literal[1] = 1
    version: str
    engine: str
    checkpoint: str = Field(min_length=1)
    predictions: str
    samples: str
    conditioning: str | None = None
    preprocess: str = ""
    split: Split
    origins: tuple[str, ...] = ()
    n: int = Field(gt=0)
    patients: tuple[str, ...] = ()
    n_tiles: tuple[int, int] = (0, 0)
    coverage: float = Field(gt=0, lt=1)
    seed: int = 0
    stopped_on: int | None = Field(default=None, ge=0)
    fields: tuple[FieldCalibration, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [entry.field for entry in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("a field is calibrated twice")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the whole calibration; that of a file from before `stopped_on` stays."""
        left_out = {"stopped_on"} if self.stopped_on is None else None
        return hashlib.sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()

    @property
    def stop_text(self) -> str:
        """Return what the patients had to do with the training, as one sentence."""
        if self.stopped_on is None:
            return "No record says whether these patients also decided when training stopped."
        if not self.stopped_on:
            return "None of these patients decided when training stopped."
        return (
            f"Of {counted(self.n, 'patient')}, {self.stopped_on} also decided when training "
            "stopped, so the tables may look slightly better on them than on new ones."
        )

    def field(self, name: str) -> FieldCalibration:
        """Return the entry of a field; one that was not fitted is not evaluable."""
        for entry in self.fields:
            if entry.field == name:
                return entry
        return FieldCalibration(field=name, evaluable=False, reason="not part of the calibration")

    def require(self, checkpoint: str, where: str = FILE) -> None:
        """Raise `CalibratorMismatch` unless it was fitted on the checkpoint of that digest."""
        if self.checkpoint != checkpoint:
            raise CalibratorMismatch(
                f"{where}: was fitted on a checkpoint with digest {self.checkpoint[:12]}…, this "
                f"one has {checkpoint[:12]}…; run 'immunopath calibrate' on answers of this "
                "checkpoint, or remove the file"
            )


def chosen_calibrator(
    options: Mapping[str, str], folder: Path, checkpoint: str
) -> Calibrator | None:
    """Return the calibrator of an engine string's ``calibration=``, else the one in its folder.

    None: the folder has none, or ``calibration=none`` asks for raw tables. checkpoint: the digest
    of what answers. Raises `CaseFileError` for a file that is missing or no calibrator, and
    `CalibratorMismatch` for that of another checkpoint.
    """
    given = options.get("calibration")
    path = Path(given).expanduser() if given else folder / FILE
    if given == "none" or (given is None and not path.is_file()):
        return None
    found = load_calibrator(path)
    found.require(checkpoint, str(path))
    return found


_FILE = JsonFile(
    Calibrator,
    "a calibration",
    whole="calibrator",
    remedy="write one with 'immunopath calibrate'",
)


def load_calibrator(path: Path) -> Calibrator:
    """Return the calibrator in a file; raises `CaseFileError` naming the file and the key."""
    return _FILE.read(path)


def write_calibrator(calibrator: Calibrator, folder: Path) -> Path:
    """Write ``calibration.json`` into a checkpoint's folder, whole or not at all."""
    path = folder / FILE
    write_text(path, calibrator.model_dump_json(indent=2) + "\n")
    return path
