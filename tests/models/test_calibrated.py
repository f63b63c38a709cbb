"""A profile with its calibration: what changes, what stays, and what a report must say."""

from typing import Any

import pytest

from immunopath.domain.prediction import (
    FIELD_VALUES,
    GRID,
    BiomarkerProfile,
    EngineCaution,
    FieldPrediction,
    PredictorResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.models.calibrated import (
    calibrated_field,
    calibrated_result,
    calibration_cautions,
)
from immunopath.models.calibration import Calibrator, FieldCalibration

SOURCE = Provenance(engine="mil", revision="1", kind="model")
OLD = EngineCaution(code="OLD", severity="note", message="m", action="a")
TABLE = {"inflamed": 0.9, "excluded": 0.09, "desert": 0.01}


def entry(field: str, **changes: Any) -> FieldCalibration:
    number = FIELD_VALUES[field] is None
    values = {
        "field": field, "evaluable": True, "method": "temperature", "temperature": 2.0,
        "set_method": "residual" if number else "lac", "threshold": 0.1 if number else 0.8,
        "coverage": 0.9,
    }  # fmt: skip
    return FieldCalibration.model_validate(values | changes)


def calibrator(*fields: FieldCalibration, **changes: Any) -> Calibrator:
    values = {
        "version": "1", "engine": "mil", "checkpoint": "c", "predictions": "p", "samples": "s",
        "split": "val", "n": 200, "coverage": 0.9, "fields": fields,
    }  # fmt: skip
    return Calibrator.model_validate(values | changes)


def field(value: Any, table: dict[str, float] | None = None, **more: Any) -> Any:
    kind: Any = FieldPrediction[float] if isinstance(value, float) else FieldPrediction[str]
    base = {"quantity": "q", "n_tiles": 3, "qc_pass": True, "source": SOURCE}
    said = {"value": value, "probabilities": table, "abstained": value is None}
    return kind(**base | said | more)


def test_a_class_gets_its_table_set_coverage_and_origin() -> None:
    used = calibrator(entry("immune_phenotype"))
    found = calibrated_field("immune_phenotype", field("inflamed", TABLE), used)
    assert found.calibrated
    assert found.value == "inflamed"
    assert found.raw_value is None
    assert found.probabilities == pytest.approx(
        {"inflamed": 0.703, "excluded": 0.222, "desert": 0.074}, abs=1e-3
    )
    assert found.prediction_set == ("inflamed", "excluded")
    assert found.coverage == 0.9
    assert found.source.calibrator_digest == used.digest


def test_a_number_gets_an_interval_and_keeps_what_its_value_was() -> None:
    table = dict.fromkeys(GRID, 0.0) | {"0.20": 0.51, "0.60": 0.30, "0.61": 0.19}
    used = calibrator(entry("til_fraction", temperature=3.0))
    found = calibrated_field("til_fraction", field(0.2, table, interval=(0.2, 0.61)), used)
    assert (found.value, found.raw_value) == (0.6, 0.2)
    assert found.interval == (0.5, 0.7)
    assert found.prediction_set is None


def test_a_curve_may_move_the_value_and_says_so() -> None:
    curve = ((0.0, 0.1), (0.6, 0.3), (1.0, 0.9))
    used = calibrator(entry("cd274_expression", method="isotonic", temperature=None, curve=curve))
    found = calibrated_field("cd274_expression", field("high", {"high": 0.6, "low": 0.4}), used)
    assert (found.value, found.raw_value) == ("low", "high")
    assert found.probabilities == {"high": 0.3, "low": 0.7}


@pytest.mark.parametrize(
    "made",
    [
        field(None, TABLE, reason="the patches disagree", conditioning="greedy"),
        field("inflamed", conditioning="greedy"),
        field("inflamed", TABLE, calibrated=True, conditioning="greedy"),
        field("inflamed", TABLE, conditioning="marginal:8"),
        field("inflamed", TABLE),
    ],
)
def test_what_cannot_be_calibrated_is_left_as_it_is(made: Any) -> None:
    used = calibrator(entry("immune_phenotype"), conditioning="greedy")
    assert calibrated_field("immune_phenotype", made, used) == made


def test_a_field_that_is_not_evaluable_stays_uncalibrated() -> None:
    rare = FieldCalibration(field="msi_status", evaluable=False, reason="2 MSI-H")
    made = field("MSS", {"MSI-H": 0.1, "MSS": 0.9})
    assert calibrated_field("msi_status", made, calibrator(rare)) == made


def profile(**stated: Any) -> BiomarkerProfile:
    """Abstentions but for what is given."""
    silent = field(None, reason="r")
    number: Any = FieldPrediction[float]
    fields = {
        name: silent if values else number.model_validate(silent.model_dump())
        for name, values in FIELD_VALUES.items()
    }
    return BiomarkerProfile(**fields | stated)


def result(**stated: Any) -> PredictorResult:
    return PredictorResult(profile=profile(**stated), cut_points=None, cautions=(OLD,))


def test_a_result_is_calibrated_field_by_field_and_keeps_its_cautions() -> None:
    tme = field("D", {"IE": 0.0, "IE/F": 0.0, "F": 0.0, "D": 1.0})
    before = result(immune_phenotype=field("inflamed", TABLE), tme_subtype=tme)
    found = calibrated_result(before, calibrator(entry("immune_phenotype")))
    assert found.profile.immune_phenotype.calibrated
    assert found.profile.tme_subtype == tme
    assert found.profile.til_fraction == before.profile.til_fraction
    assert found.cautions == (OLD,)


def test_without_a_calibrator_nothing_changes() -> None:
    before = result(immune_phenotype=field("inflamed", TABLE))
    assert calibrated_result(before, None) is before


def test_a_calibration_of_another_conditioning_is_not_applied_and_said() -> None:
    used = calibrator(entry("immune_phenotype"), conditioning="greedy", origins=("synthetic",))
    before = result(immune_phenotype=field("inflamed", TABLE, conditioning="marginal:8"))
    found = calibrated_result(before, used)
    assert found.profile == before.profile
    assert [c.code for c in found.cautions] == ["OLD", "CALIBRATION_NOT_APPLIED"]
    assert "conditioning marginal:8 instead of greedy" in found.cautions[1].message


def test_a_calibration_of_another_prompt_is_not_applied_and_said() -> None:
    used = calibrator(entry("immune_phenotype"), preprocess="px=512;prompt=card")
    source = SOURCE.model_copy(update={"preprocess": "px=512;prompt=mine"})
    before = result(immune_phenotype=field("inflamed", TABLE, source=source))
    found = calibrated_result(before, used)
    assert found.profile == before.profile
    assert "prompt=mine instead of prompt=card" in found.cautions[1].message
    asked_alike = calibrator(entry("immune_phenotype"), preprocess="px=512;prompt=mine")
    assert calibrated_result(before, asked_alike).profile.immune_phenotype.calibrated


def test_a_calibration_on_rendered_images_is_serious() -> None:
    (said,) = calibration_cautions(calibrator(origins=("rna", "synthetic")), None)
    assert (said.code, said.severity) == ("CALIBRATED_ON_SYNTHETIC", "serious")


@pytest.mark.parametrize(
    ("n", "told"), [(3, True), (4, False), (9, False), (10, True), (None, False)]
)
def test_other_numbers_of_tiles_than_in_the_calibration_are_said(n: int | None, told: bool) -> None:
    found = calibration_cautions(calibrator(n_tiles=(4, 9)), None, n)
    assert [c.code for c in found] == ["CALIBRATED_ON_OTHER_TILE_COUNTS"] * told


def test_a_calibration_that_fits_or_has_nothing_to_do_needs_no_word() -> None:
    assert calibration_cautions(calibrator(origins=("rna",)), None, 5) == ()
    silent = result()
    assert calibrated_result(silent, calibrator(origins=("synthetic",))) is silent


@pytest.mark.parametrize(("stopped", "told"), [(None, False), (0, False), (3, True)])
def test_a_calibration_on_patients_who_chose_the_stop_is_noted(
    stopped: int | None, told: bool
) -> None:
    found = calibration_cautions(calibrator(stopped_on=stopped), None)
    assert [(c.code, c.severity) for c in found] == [("CALIBRATED_ON_STOP_PATIENTS", "note")] * told
