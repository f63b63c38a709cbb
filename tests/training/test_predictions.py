"""The file of predictions."""

from pathlib import Path

import pytest

from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import GRID
from immunopath.training.predictions import (
    FieldAnswer,
    PatientAnswer,
    PredictionSet,
    read_predictions,
    write_predictions,
)


def answer(patient: str, value: float | None) -> PatientAnswer:
    return PatientAnswer(patient_id=patient, fields={"til_fraction": FieldAnswer(value=value)})


def test_a_set_comes_back(tmp_path: Path) -> None:
    written = PredictionSet(engine="e", digest="d", answers=(answer("A", 0.1), answer("B", None)))
    write_predictions(tmp_path / "p.json", written)
    assert read_predictions(tmp_path / "p.json") == written


def test_the_grid_has_one_key_a_hundredth() -> None:
    assert len(GRID) == 101
    assert (GRID[0], GRID[29], GRID[-1]) == ("0.00", "0.29", "1.00")


def test_impossible_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 0"):
        FieldAnswer(value="high", probabilities={"high": 0.5, "low": 0.4})
    with pytest.raises(ValueError, match="lie in"):
        FieldAnswer(value="high", probabilities={"high": 1.5, "low": -0.5})
    with pytest.raises(ValueError, match="eight fields"):
        PatientAnswer(patient_id="A", fields={"til": FieldAnswer(value=0.1)})
    with pytest.raises(ValueError, match="twice"):
        PredictionSet(engine="e", digest="d", answers=(answer("A", 0.1), answer("A", 0.2)))


def test_a_bad_file_names_the_key(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"engine": "e", "digest": "d"}')
    with pytest.raises(CaseFileError, match="answers"):
        read_predictions(path)
