from typing import Any

import pytest

from immunopath.domain.prediction import FieldPrediction, ValidationCard
from immunopath.domain.provenance import Provenance
from immunopath.guidelines.trust import trust_gate


def card(**more: Any) -> ValidationCard:
    return ValidationCard.model_validate(
        {
            "cohort": "external set", "n": 200, "metric": "auroc", "value": 0.75, "ci_low": 0.68,
            "ci_high": 0.81, "null_value": 0.5, "external": True, "ece": 0.05, **more,
        }
    )  # fmt: skip


def field(validation: ValidationCard | None = None, **more: Any) -> FieldPrediction[str]:
    return FieldPrediction[str].model_validate(
        {
            "quantity": "q", "n_tiles": 30, "qc_pass": True, "value": "high", "abstained": False,
            "validation": validation, "source": Provenance(engine="e", revision="1"), **more,
        }
    )  # fmt: skip


def test_a_validated_field_passes() -> None:
    informative, reason = trust_gate("cd274_expression", field(card()))
    assert informative is True
    assert "n = 200" in reason
    assert "cancer type and site alone reach is not known" in reason
    informative, reason = trust_gate("cd274_expression", field(card(clinical_value=0.6)))
    assert informative is True
    assert "not known" not in reason


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"external": False}, "externally"),
        ({"n": 99}, "below 100"),
        ({"ece": 0.2}, "calibration"),
        ({"ece": None}, "calibration"),
        ({"ci_low": 0.64}, "lower bound"),
        ({"clinical_value": 0.7}, "cancer type and site alone"),
        ({"metric": "vibes"}, "no limit"),
        ({"metric": "balanced_accuracy", "ci_low": 0.59}, "lower bound"),
        ({"metric": "accuracy", "null_value": 0.25, "ci_low": 0.39}, "lower bound"),
    ],
)
def test_each_condition_closes_the_gate(change: dict[str, Any], word: str) -> None:
    informative, reason = trust_gate("cd274_expression", field(card(**change)))
    assert informative is False
    assert word in reason


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"qc_pass": False}, "quality"),
        ({"abstained": True, "value": None, "reason": "cannot be seen"}, "cannot be seen"),
        ({"ood_score": 0.9}, "distribution"),
        ({"tile_disagreement": 0.5}, "disagree"),
        ({"hint": True}, "hint"),
        ({"validation": None}, "no validation card"),
    ],
)
def test_the_case_itself_can_close_the_gate(change: dict[str, Any], word: str) -> None:
    informative, reason = trust_gate("cd274_expression", field(**{"validation": card()} | change))
    assert informative is False
    assert word in reason


def test_accuracy_must_exceed_chance_by_the_margin() -> None:
    passed, _ = trust_gate(
        "tme_subtype", field(card(metric="accuracy", null_value=0.25, ci_low=0.41), value="IE")
    )
    assert passed is True


def test_a_number_needs_no_calibration_error() -> None:
    spearman = card(metric="spearman", null_value=0.0, ci_low=0.55, ece=None)
    number = FieldPrediction[float].model_validate(field(spearman).model_dump() | {"value": 0.4})
    assert trust_gate("til_fraction", number)[0] is True
