"""The model card: what files say, and no more."""

import json
from pathlib import Path

import pytest
from evaluation_cases import cohort, of_split, seeing

from immunopath.models.calibration import Calibrator, write_calibrator
from immunopath.models.protocols import EngineInfo
from immunopath.training.evaluation.cards import validation_file
from immunopath.training.evaluation.evaluate import Evaluation, evaluate_sets
from immunopath.training.evaluation.model_card import render_card
from immunopath.training.evaluation.resample import Plan

INFO = EngineInfo("predictor", "medgemma", "r1", "w", 0.5, 512, None, "HAI-DEF", True, "a model")
LOST = "not stated in any file of the checkpoint"


@pytest.fixture(scope="module")
def found() -> Evaluation:
    samples = cohort(origin="rna")
    answers = seeing(of_split(samples, "test"))
    return evaluate_sets(samples, answers, cohort="C", plan=Plan(draws=100))


def test_what_no_file_says_is_unknown(found: Evaluation, tmp_path: Path) -> None:
    text = render_card(found, None, None, None)
    assert f"Unknown: {LOST}" in text
    assert f"Of the weights: {LOST}" in text
    assert "the gate stays closed for every field" in text
    (tmp_path / "immunopath.json").write_text(json.dumps({"prompt": "card-v1", "images": 1}))
    text = render_card(found, INFO, None, tmp_path)
    assert "- prompt: card-v1" in text
    assert f"- training: {LOST}" in text


def test_the_record_the_limits_and_the_licence_are_told(found: Evaluation, tmp_path: Path) -> None:
    training = {"preset": "default", "patients": {"train": 7}, "cohort_digests": {"t": "a" * 64}}
    (tmp_path / "immunopath.json").write_text(json.dumps({"images": 2, "training": training}))
    text = render_card(found, INFO, validation_file(found), tmp_path)
    assert "- preset: default" in text
    assert "- patients: train 7" in text
    assert "- cohort_digests: t aaaaaaaaaaaa…" in text
    assert "Health AI Developer Foundations" in text
    assert "msi_status could not be evaluated: 2 of 60 patients are 'MSI-H'" in text
    assert "MIL head: not run (not given)" in text
    assert "SYNTHETIC" not in text
    assert "| til_fraction | spearman |" in text
    assert "None of it is external" in text
    assert "None of it" not in render_card(found, INFO, validation_file(found, external=True), None)


def test_the_card_says_on_whom_these_answers_were_calibrated(
    found: Evaluation, tmp_path: Path
) -> None:
    fitted = Calibrator(
        version="1", engine="e", checkpoint="d", predictions="p", samples="s", split="val", n=40,
        coverage=0.9, stopped_on=40, fields=(),
    )  # fmt: skip
    write_calibrator(fitted, tmp_path)
    own = {"calibrated": True, "calibrator": fitted.digest}
    used = found.model_copy(update={"main": found.main.model_copy(update=own)})
    said = "calibrated on: 40 patients of val. Of 40 patients, 40 also decided"
    assert said in render_card(used, INFO, None, tmp_path)
    assert "calibrated on" not in render_card(found, INFO, None, tmp_path)
