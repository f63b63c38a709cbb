"""Cohorts: nothing is lost, nothing leaves the folder, the queue follows the rules."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from immunopath.domain.case import Case
from immunopath.domain.errors import InputError
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.pipeline.run import ImmunoPath

AS_OF = date(2026, 11, 24)
LUNG = "lung_he_til/u24_cae100/image_99.png"


def test_failures_are_rows_and_the_others_go_on(shared_images: Path, tmp_path: Path) -> None:
    crisis = parse_inputs({"histology": "adenocarcinoma", "tempo": "crisis", "stage": "IVB"}, False)
    cases = [
        Case(case_id="plain", images=(shared_images / LUNG,), mpp=0.5),
        Case(case_id="../up\n", images=(shared_images / LUNG,), mpp=0.5),
        Case(case_id="gone", images=(tmp_path / "none.png",)),
        Case(case_id="cat", images=(shared_images / "negatives/skimage_chelsea.png",)),
        Case(case_id="=1+1", images=(shared_images / LUNG,), mpp=0.5, clinical=crisis),
    ]
    out = tmp_path / "out"
    with ImmunoPath() as engines:
        result = engines.cohort(cases, out, as_of=AS_OF)
    assert [row.status for row in result.rows] == ["ok", "ok", "failed", "refused", "ok"]
    assert "none.png" in result.failures[0].reason
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    written = sorted(str(p.relative_to(out)) for p in out.rglob("*.json"))
    assert written == sorted(["cohort.json", *(row.file for row in result.rows if row.file)])
    assert len(json.loads((out / "cohort.json").read_text())["rows"]) == len(cases)
    with (out / "worklist.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert lines[0]["case_id"] == "'=1+1"
    assert lines[0]["triage_level"] == "T0"
    assert {line["basis"] for line in lines} == {"clinical facts only"}


def test_one_id_twice_is_refused_before_any_work(shared_images: Path, tmp_path: Path) -> None:
    case = Case(case_id="a", images=(shared_images / LUNG,), mpp=0.5)
    with ImmunoPath() as engines, pytest.raises(InputError, match="more than once"):
        engines.cohort([case, case], tmp_path / "out")
    assert not (tmp_path / "out").exists()
