"""Free texts against the contract."""

import json

import pytest

from immunopath.training.evaluation.compliance import compliance, parse
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet

VALUES: dict[str, str | float] = {
    "cd274_expression": "low",
    "msi_status": "MSS",
    "tme_subtype": "IE/F",
    "til_fraction": 0.31,
    "til_density": "moderate",
    "immune_phenotype": "excluded",
    "cd8_infiltration": "high",
    "immune_score": 0.5,
}


def answers(*texts: str | None) -> PredictionSet:
    fields = {name: FieldAnswer(value=value) for name, value in VALUES.items()}
    return PredictionSet(
        engine="e",
        digest="d",
        answers=tuple(
            PatientAnswer(patient_id=f"P{i}", fields=fields, free_text=text)
            for i, text in enumerate(texts)
        ),
    )


def test_json_and_schema_are_counted_apart() -> None:
    whole = json.dumps(VALUES)
    wrong_value = json.dumps(VALUES | {"tme_subtype": "IE_F", "til_fraction": 31})
    missing = json.dumps({k: v for k, v in VALUES.items() if k != "msi_status"})
    prose = "The tumour is inflamed."
    fenced = f"```json\n{whole}\n```"
    found = compliance(
        answers(whole, wrong_value, missing, prose, fenced, None),
        ["P0", "P1", "P2", "P3", "P4", "P5"],
    )
    assert found is not None
    assert found.n == 5
    assert found.json_object == pytest.approx(3 / 5)
    assert found.fenced == pytest.approx(1 / 5)
    assert found.valid == pytest.approx(2 / 5)
    assert found.by_field["tme_subtype"] == pytest.approx(3 / 5)
    assert found.by_field["msi_status"] == pytest.approx(3 / 5)
    assert found.agrees["tme_subtype"] == 1.0
    assert found.decoded == 1.0


def test_agreement_with_the_decoder() -> None:
    other = json.dumps(VALUES | {"til_fraction": 0.35, "cd8_infiltration": "low"})
    near = json.dumps(VALUES | {"til_fraction": 0.315})
    found = compliance(answers(other, near), ["P0", "P1"])
    assert found is not None
    assert found.agrees["til_fraction"] == 0.5
    assert found.agrees["cd8_infiltration"] == 0.5


def test_no_free_text_means_no_figure() -> None:
    assert compliance(answers(None), ["P0"]) is None
    assert compliance(answers("{}"), ["P9"]) is None


@pytest.mark.parametrize("text", ["[1]", "", "{", "}{", "NaN", '{"a": '])
def test_what_is_no_object_is_none(text: str) -> None:
    assert parse(text)[0] is None


def test_true_is_no_number_and_nan_is_none() -> None:
    found = compliance(answers('{"til_fraction": true, "immune_score": NaN}'), ["P0"])
    assert found is not None
    assert found.by_field["til_fraction"] == 0.0
    assert found.by_field["immune_score"] == 0.0
