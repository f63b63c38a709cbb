"""What a predictor said of every patient of a split: the file that evaluation and calibration read.

One format for every engine (a language model, a MIL head, a constant), so that all of them are
measured by the same code.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.files import MAX_TABLE, write_text
from immunopath.domain.json_file import JsonFile
from immunopath.domain.prediction import FIELD_VALUES


class FieldAnswer(Frozen):
    """One field of one patient.

    value: None exactly when the engine abstained; probabilities: over all allowed values in
    contract order, or over (a subset of) `GRID` for a number; empty when the engine has none.
    """

    value: str | float | None
    probabilities: dict[str, float] = Field(default_factory=dict)
    reason: str = ""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        table = self.probabilities
        if table and not 0.999 <= sum(table.values()) <= 1.001:
            raise ValueError(f"probabilities sum to {sum(table.values()):.4f}, not 1")
        if any(not 0 <= p <= 1 for p in table.values()):
            raise ValueError("probabilities lie in [0, 1]")
        return self


class PatientAnswer(Frozen):
    """All fields of one patient; free_text: what the model writes when nothing is forced."""

    patient_id: str
    fields: dict[str, FieldAnswer]
    n_tiles: int = Field(default=0, ge=0)
    free_text: str | None = None

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        unknown = sorted(set(self.fields) - set(FIELD_VALUES))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of the eight fields")
        return self


class PredictionSet(Frozen):
    """The answers of one engine on one set of patients, and what produced them.

    preprocess: how it asked and what it was shown, as in `Provenance`; empty when not known.
    control: ``none`` for the true images, ``blank``, ``shuffled`` or ``swapped`` for a control;
    conditioning: as in `FieldPrediction`; calibrated: whether a calibrator was applied;
    calibrator: its digest, as in `Provenance`.
    """

    engine: str
    digest: str
    preprocess: str = ""
    control: str = "none"
    conditioning: str | None = None
    calibrated: bool = False
    calibrator: str | None = None
    answers: tuple[PatientAnswer, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [answer.patient_id for answer in self.answers]
        if len(set(ids)) != len(ids):
            raise ValueError("a patient is answered twice")
        return self


_FILE = JsonFile(
    PredictionSet, "a file of predictions (JSON)", whole="predictions", limit=MAX_TABLE
)


def read_predictions(path: Path) -> PredictionSet:
    """Return a set; raises `CaseFileError` naming the file and the key."""
    return _FILE.read(path)


def write_predictions(path: Path, answers: PredictionSet) -> None:
    """Write a set as JSON, whole or not at all."""
    write_text(path, answers.model_dump_json(indent=1) + "\n")
