"""A calibration beside a checkpoint: found, checked, served, and refused when it is another's."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from plain_tiles import PlainTiles
from tiny_lora import field
from tiny_medgemma import Folders

from immunopath.domain.case import Case
from immunopath.domain.errors import CalibratorMismatch, CaseFileError
from immunopath.domain.prediction import FIELD_VALUES, PredictorResult
from immunopath.models.calibration import FILE, Calibrator, FieldCalibration, write_calibrator
from immunopath.models.foundation.checks import Check
from immunopath.models.foundation.doctor import check_engine
from immunopath.models.foundation.medgemma.medgemma import engine_digest
from immunopath.models.foundation.medgemma.medgemma_build import build
from immunopath.models.foundation.weights import resolve_weights
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath

DARK = [field(60, 7), field(85, 8)]
Written = Callable[..., tuple[str, Calibrator]]


def entry(name: str) -> FieldCalibration:
    number = FIELD_VALUES[name] is None
    return FieldCalibration(
        field=name,
        evaluable=True,
        method="temperature",
        temperature=3.0,
        set_method="cqr" if number else "lac",
        threshold=0.03 if number else 0.95,
        coverage=0.8,
    )


@pytest.fixture
def written(medgemma: Folders, tmp_path: Path) -> Written:
    """An adapter with a calibration beside it: its engine string and what was written."""
    adapter = Path(shutil.copytree(medgemma.seeing, tmp_path / "adapter"))
    digest = engine_digest(resolve_weights(str(medgemma.base)), resolve_weights(str(adapter)))

    def write(**changes: Any) -> tuple[str, Calibrator]:
        values: dict[str, Any] = {
            "version": "1", "engine": "medgemma", "checkpoint": digest, "predictions": "p",
            "samples": "s", "conditioning": "greedy", "split": "val", "n": 100, "coverage": 0.8,
            "fields": tuple(entry(n) for n in FIELD_VALUES if n != "msi_status"),
        }  # fmt: skip
        made = Calibrator(**values | changes)
        write_calibrator(made, adapter)
        return f"medgemma:{medgemma.base},adapter={adapter}", made

    return write


def predict(engine: str) -> PredictorResult:
    made = build(EngineSpec.parse(engine))
    try:
        return made.predict(PlainTiles(DARK)).result
    finally:
        made.close()


def codes(result: PredictorResult) -> set[str]:
    return {caution.code for caution in result.cautions}


def test_the_predictor_states_calibrated_tables(written: Written) -> None:
    engine, calibrator = written()
    raw, found = predict(f"{engine},calibration=none"), predict(engine)
    for name, before in raw.profile.items():
        after = getattr(found.profile, name)
        assert not before.calibrated
        if before.abstained or name == "msi_status":
            assert after == before
            continue
        served = calibrator.field(name).apply(before.probabilities or {})
        assert after.calibrated
        assert after.coverage == 0.8
        assert after.value == served.value
        assert after.prediction_set == served.prediction_set
        assert after.probabilities == pytest.approx(served.probabilities, abs=1e-6)
        assert after.source.calibrator_digest == calibrator.digest
        assert (after.interval is None) is (served.interval is None)
    assert any(field.calibrated for _, field in found.profile.items())


def test_the_calibration_is_no_part_of_the_weights(written: Written, medgemma: Folders) -> None:
    engine, calibrator = written()
    assert predict(engine).profile.til_fraction.source.weights_digest == calibrator.checkpoint


def test_the_calibration_of_another_checkpoint_is_refused(written: Written) -> None:
    engine, _ = written(checkpoint="e" * 64)
    with pytest.raises(CalibratorMismatch, match=rf"{FILE}: was fitted on .* eeeeeeeeeeee…"):
        build(EngineSpec.parse(engine))
    assert not predict(f"{engine},calibration=none").profile.til_fraction.calibrated


def test_other_conditioning_leaves_the_tables_as_they_are_and_says_so(written: Written) -> None:
    engine, _ = written()
    found = predict(f"{engine},marginal=2")
    assert "CALIBRATION_NOT_APPLIED" in codes(found)
    assert not any(field.calibrated for _, field in found.profile.items())


def test_a_calibration_on_rendered_images_is_named(written: Written) -> None:
    engine, _ = written(origins=("synthetic",), n_tiles=(4, 9))
    assert {"CALIBRATED_ON_SYNTHETIC", "CALIBRATED_ON_OTHER_TILE_COUNTS"} <= codes(predict(engine))


def test_a_named_file_is_used_or_missed(written: Written, tmp_path: Path) -> None:
    engine, _ = written()
    moved = (tmp_path / "adapter" / FILE).rename(tmp_path / "mine.json")
    assert not predict(engine).profile.til_fraction.calibrated
    assert predict(f"{engine},calibration={moved}").profile.til_fraction.calibrated
    with pytest.raises(CaseFileError, match=r"none\.json: no such file"):
        build(EngineSpec.parse(f"{engine},calibration={tmp_path}/none.json"))


def test_the_doctor_says_whose_calibration_is_there(written: Written) -> None:
    def row(engine: str) -> Check:
        found = check_engine("predictor", EngineSpec.parse(engine), "cpu")
        return next(check for check in found if check.name.endswith(": calibration"))

    engine, _ = written()
    said = row(engine)
    assert said.state == "ok"
    assert said.detail.startswith("of 100 patients, 7 fields: cd274_expression, tme_subtype")
    assert row(f"{engine},calibration=none").state == "note"
    engine, _ = written(checkpoint="e" * 64)
    assert row(engine).state == "missing"
    assert "was fitted on a checkpoint with digest eeeeeeeeeeee" in row(engine).detail


def test_a_report_shows_the_sets(written: Written, shared_images: Path) -> None:
    engine, calibrator = written()
    image = shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif"
    with ImmunoPath(predictor=f"{engine},patches=2") as path:
        case = Case(case_id="a", images=(image,), mpp=0.5)
        report = path.analyze(case, as_of=date(2026, 11, 28))
    found = [field for _, field in report.profile.items() if field.calibrated]
    assert found
    for text in (report.to_markdown(), report.to_html()):
        assert "80 % set: " in text or "80 % interval" in text
        assert "calibrated" in text
        assert f"calibration {calibrator.digest[:12]}" in text
