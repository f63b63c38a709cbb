"""Predictions, tests, options and the answer: nothing in the bundle can be taken for an order."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import samples
import samples_guidance
import yaml
from fhir.resources.R4B.bundle import Bundle
from fhir_support import (
    LOINC,
    bundle_of,
    by_url,
    only,
    resources,
    with_clinical,
    with_guidance,
)

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.errors import CaseFileError
from immunopath.domain.guidance import Category, FiredRule
from immunopath.domain.outcome import Abstained
from immunopath.domain.prediction import FIELD_VALUES, ValidationCard
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.reporting.fhir import fhir_bundle
from immunopath.reporting.rendered import RenderedReport

VIGNETTES = Path(__file__).parent.parent / "guidelines" / "vignettes.yaml"
Bundled = dict[str, Any]
MARKER_CODES = ("83053-9", "81695-9", "LA26203-2", "LA14122-8", "62862-8", "94076-7")


@pytest.fixture(scope="module")
def full() -> Bundled:
    return fhir_bundle(samples.full())


@pytest.fixture(scope="module")
def first() -> Bundled:
    return fhir_bundle(samples.test_first())


def risk(bundle: dict[str, Any], field: str) -> dict[str, Any]:
    (found,) = [
        item
        for item in resources(bundle, "RiskAssessment")
        if item["code"].get("coding", [{}])[0].get("code") == field
        and "second opinion" not in item["code"]["text"]
    ]
    return found


def with_field(name: str, **change: Any) -> RenderedReport:
    report = samples.full()
    field = getattr(report.profile, name).model_copy(update=change)
    profile = report.profile.model_copy(update={name: field})
    return report.model_copy(update={"profile": profile})


def test_every_predicted_field_is_a_risk_assessment_and_nothing_else(full: Bundled) -> None:
    fields = [item["code"]["coding"][0]["code"] for item in resources(full, "RiskAssessment")]
    assert fields == [*FIELD_VALUES, "immune_phenotype"]
    for item in resources(full):
        if item["resourceType"] not in {"RiskAssessment", "DiagnosticReport"}:
            assert "predicted" not in str(item.get("code", {}).get("text", ""))


def test_predictions_alone_give_no_observation_with_a_value(first: Bundled) -> None:
    found = [i for i in resources(first, "Observation") if "dataAbsentReason" not in i]
    assert found == []
    assert resources(first, "RiskAssessment")


@pytest.mark.parametrize("code", MARKER_CODES)
def test_a_prediction_never_carries_the_code_of_a_measurement(code: str) -> None:
    predicted = with_field(
        "msi_status", value="MSI-H", abstained=False, probabilities={"MSI-H": 0.9, "MSS": 0.1}
    )
    for item in resources(fhir_bundle(predicted), "RiskAssessment"):
        assert f'"{code}"' not in json.dumps(item)
        assert LOINC not in json.dumps(item)


def test_a_predicted_msi_leaves_the_measured_one_unknown() -> None:
    predicted = with_field(
        "msi_status", value="MSI-H", abstained=False, probabilities={"MSI-H": 0.9, "MSS": 0.1}
    )
    bundle = fhir_bundle(predicted)
    (msi,) = [i for i in resources(bundle, "Observation")
              if i["code"]["text"] == "Microsatellite instability"]  # fmt: skip
    assert msi["status"] == "unknown"
    assert risk(bundle, "msi_status")["prediction"][0]["outcome"]["text"] == (
        "MSI status MSI-H, predicted"
    )


def test_probabilities_are_percentages_and_say_whether_they_are_calibrated() -> None:
    model = samples.SOURCE.model_copy(update={"kind": "model"})
    rows = risk(fhir_bundle(with_field("til_density", source=model)), "til_density")["prediction"]
    assert [row["probabilityDecimal"] for row in rows] == [20, 72, 8]
    for row in rows:
        assert row["modifierExtension"][0]["valueCode"] == "uncalibrated"
        assert "uncalibrated" in row["rationale"]
    rows = risk(fhir_bundle(with_field("til_density", calibrated=True)), "til_density")[
        "prediction"
    ]
    for row in rows:
        assert row["extension"][0]["valueCode"] == "calibrated"
        assert "modifierExtension" not in row
    assert [r for r in rows if "reported value" in r["rationale"]] == [rows[1]]


def test_a_small_probability_keeps_its_digits_as_a_percentage() -> None:
    table = {"MSI-H": 0.035, "MSS": 0.965}
    made = with_field(
        "msi_status", value="MSS", abstained=False, calibrated=True, probabilities=table
    )
    rows = risk(fhir_bundle(made), "msi_status")["prediction"]
    assert [row["probabilityDecimal"] for row in rows] == [3.5, 96.5]


def test_shares_of_resamples_and_measured_scores_are_told_in_a_note(full: Bundled) -> None:
    for found, text in (
        (risk(full, "til_density"), "resamples, not probabilities: high 0.20, moderate 0.72"),
        (resources(full, "RiskAssessment")[-1], "Scores, not probabilities: inflamed 0.55"),
    ):
        (row,) = found["prediction"]
        assert "probabilityDecimal" not in row
        assert "no probability" in row["rationale"]
        assert text in " ".join(item["text"] for item in found["note"])


def test_a_score_is_not_a_probability(full: Bundled) -> None:
    (row,) = risk(full, "til_fraction")["prediction"]
    assert "probabilityDecimal" not in row
    value, interval = row["extension"]
    assert value["valueDecimal"] == 0.31
    assert interval["valueRange"] == {"low": {"value": 0.22}, "high": {"value": 0.41}}
    assert "90 % coverage" in row["rationale"]


def test_a_class_without_a_table_has_no_number() -> None:
    (row,) = risk(fhir_bundle(with_field("til_density", probabilities=None)), "til_density")[
        "prediction"
    ]
    assert row["rationale"] == "no probability"
    assert "probabilityDecimal" not in row


def test_an_abstention_predicts_nothing_and_says_why(full: Bundled) -> None:
    found = risk(full, "msi_status")
    assert found["status"] == "cancelled"
    assert "prediction" not in found
    notes = " ".join(item["text"] for item in found["note"])
    assert "morphology of one H&amp;E image cannot show it" in notes
    assert "Population prior, not a prediction for this case: MSI-H 0.007" in notes


def test_an_abstaining_second_opinion_predicts_nothing() -> None:
    report = samples.full()
    scores = report.phenotype.value.model_copy(  # type: ignore[union-attr]
        update={"value": None, "abstained": True, "reason": "too little tissue"}
    )
    outcome = report.phenotype.model_copy(update={"value": scores})
    bundle = fhir_bundle(report.model_copy(update={"phenotype": outcome}))
    second = resources(bundle, "RiskAssessment")[-1]
    assert "prediction" not in second
    assert "too little tissue" in str(second["note"])


def test_the_engine_is_a_device_with_its_digest(full: Bundled) -> None:
    found = by_url(full)[risk(full, "til_density")["performer"]["reference"]]
    assert found["resourceType"] == "Device"
    assert {v["type"]["text"]: v["value"] for v in found["version"]}["weights sha256"] == "ab" * 32
    assert by_url(full)[found["parent"]["reference"]]["deviceName"][0]["name"] == "ImmunoPath"


def test_a_validation_card_is_quoted() -> None:
    card = ValidationCard(cohort="C", n=200, metric="AUROC", value=0.7, ci_low=0.65, ci_high=0.75,
                          null_value=0.5, external=True, labelled=250,
                          clinical_value=0.55)  # fmt: skip
    found = risk(fhir_bundle(with_field("til_density", validation=card)), "til_density")
    assert any("external cohort C, n = 200 of 250" in item["text"] for item in found["note"])


def test_tests_are_drafts_with_the_priority_of_their_level(first: Bundled) -> None:
    found = resources(first, "ServiceRequest")
    assert {item["status"] for item in found} == {"draft"}
    assert {item["intent"] for item in found} == {"proposal"}
    assert [item["priority"] for item in found] == ["urgent", "urgent", "stat"]
    routine = samples_guidance.TESTS[0].model_copy(update={"level": "T2"})
    answer = samples_guidance.test_first().model_copy(update={"tests": (routine,)})
    assert only(with_guidance(answer), "ServiceRequest")["priority"] == "routine"


def test_a_test_points_to_what_is_missing(first: Bundled) -> None:
    known = by_url(first)
    pdl1, panel, _ = resources(first, "ServiceRequest")
    names = [known[r["reference"]]["code"]["text"] for r in pdl1["reasonReference"]]
    assert names == ["PD-L1 score"]
    assert len(panel["reasonReference"]) == 16
    assert pdl1["reasonCode"][0]["text"]


def test_a_test_that_is_done_is_not_asked_for_again(full: Bundled) -> None:
    assert [i["code"]["text"] for i in resources(full, "ServiceRequest")] == [
        "NGS panel, DNA and RNA, tissue"
    ]


def test_a_prediction_that_moved_a_test_is_named_beside_it(first: Bundled) -> None:
    rule = FiredRule(rule_id="PR-1", table="predicted", section="3.1", summary="s", strength="rule",
                     references=("SHA",), grade="M")  # fmt: skip
    test = samples_guidance.TESTS[0].model_copy(update={"rule_ids": ("G-2", "PR-1")})
    answer = samples_guidance.test_first().model_copy(update={"fired": (rule,), "tests": (test,)})
    bundle = with_guidance(answer)
    (link,) = only(bundle, "ServiceRequest")["supportingInfo"]
    assert by_url(bundle)[link["reference"]]["resourceType"] == "RiskAssessment"
    for item in resources(first, "ServiceRequest"):
        assert "supportingInfo" not in item


def test_test_first_is_data_required_and_lists_what_is_missing(first: Bundled) -> None:
    answer = only(first, "GuidanceResponse")
    assert answer["status"] == "data-required"
    assert "result" not in answer
    assert [item["codeFilter"][0]["code"][0].get("display") for item in answer["dataRequirement"]] \
        == ["histology", "stage", "EGFR", "ALK", "ROS1", "PD-L1 TPS"]  # fmt: skip
    assert resources(first, "CarePlan") == resources(first, "RequestGroup") == []


def test_missing_facts_of_the_tables_are_coded() -> None:
    answer = only(bundle_of(ClinicalContext(histology="adenocarcinoma")), "GuidanceResponse")
    assert answer["status"] == "data-required"
    filters = [item["codeFilter"] for item in answer["dataRequirement"]]
    sent = {code.get("code") for parts in filters for part in parts for code in part["code"]}
    assert {"83053-9", "69548-6", "HGNC:427", "HGNC:3236"} <= sent


def test_without_a_list_the_outstanding_tests_are_required() -> None:
    answer = samples_guidance.test_first().model_copy(update={"missing": ()})
    found = only(with_guidance(answer), "GuidanceResponse")["dataRequirement"]
    assert [item["codeFilter"][0]["code"][0]["display"] for item in found] == [
        test.name for test in samples_guidance.TESTS
    ]


def test_conditional_branches_are_sentences_only(first: Bundled) -> None:
    notes = [item["text"] for item in only(first, "GuidanceResponse")["note"]]
    branches = [text for text in notes if text.startswith("Conditional, not an option")]
    assert len(branches) == 4
    assert any("all gate genes negative and TPS &gt;= 50 %" in text for text in branches)
    for item in resources(first):
        if item["resourceType"] != "GuidanceResponse":
            assert "embrolizumab" not in str(item)


def test_options_are_proposals_of_which_one_or_none_is_chosen(full: Bundled) -> None:
    group = only(full, "RequestGroup")
    (parent,) = group["action"]
    assert parent["selectionBehavior"] == "at-most-one"
    assert "resource" not in parent
    known = by_url(full)
    plans = [known[action["resource"]["reference"]] for action in parent["action"]]
    assert [action["prefix"] for action in parent["action"]] == ["1", "2"]
    assert [plan["title"] for plan in plans] == [
        samples_guidance.COMBINATION.name, samples_guidance.SECOND.name,
    ]  # fmt: skip
    for plan, action in zip(plans, parent["action"], strict=True):
        assert (plan["status"], plan["intent"]) == ("draft", "proposal")
        assert "not an order" in plan["note"][0]["text"]
        assert "kind" not in str(plan["activity"])
        assert action["documentation"][0]["type"] == "citation"
    assert only(full, "GuidanceResponse")["status"] == "success"
    assert known[only(full, "GuidanceResponse")["result"]["reference"]] == group


@pytest.mark.parametrize(
    ("category", "code"),
    [(Category.REJECT_INVALID_INPUT, "invalid"), (Category.REFUSE_OUT_OF_SCOPE, "not-supported")],
)
def test_a_rejected_case_is_a_failure_with_its_fields(category: Category, code: str) -> None:
    problem = InputProblem(field="pdl1_tps", code="TPS_RANGE", message="150 is not a percentage")
    answer = samples_guidance.test_first().model_copy(
        update={"category": category, "problems": (problem,), "conditional": ()}
    )
    bundle = with_guidance(answer)
    assert only(bundle, "GuidanceResponse")["status"] == "failure"
    (issue,) = only(bundle, "OperationOutcome")["issue"]
    assert (issue["code"], issue["severity"]) == (code, "error")
    assert "pdl1_tps" in issue["diagnostics"]


def test_tables_that_gave_no_answer_are_a_failure() -> None:
    report = samples.full().model_copy(update={"guidance": Abstained(reason="nothing was asked")})
    bundle = fhir_bundle(report)
    assert only(bundle, "GuidanceResponse")["status"] == "failure"
    assert "nothing was asked" in only(bundle, "OperationOutcome")["issue"][0]["diagnostics"]
    assert "nothing was asked" in only(bundle, "DiagnosticReport")["conclusion"]


def test_findings_are_issues_that_name_the_fields(full: Bundled) -> None:
    found = resources(full, "DetectedIssue")
    assert [item["severity"] for item in found] == ["low", "moderate", "high"]
    known = by_url(full)
    fields = [known[r["reference"]]["code"]["coding"][0]["code"] for r in found[2]["implicated"]]
    assert fields == ["immune_phenotype", "til_fraction"]
    assert "What to do:" in found[0]["detail"]


def test_the_version_of_the_tables_cannot_break_the_canonical() -> None:
    answer = samples_guidance.test_first().model_copy(update={"knowledge_version": "a b|c\nd"})
    module = only(with_guidance(answer), "GuidanceResponse")["moduleCanonical"]
    assert module == "urn:immunopath:guideline-tables|a%20b%7Cc%5Cnd"


def _vignettes() -> list[Any]:
    content = yaml.safe_load(VIGNETTES.read_text("utf-8"))
    rows = content["vignettes"] if isinstance(content, dict) else content
    return [pytest.param(row["inputs"], id=str(row["id"])) for row in rows]


@pytest.mark.parametrize("inputs", _vignettes())
def test_every_vignette_can_be_exchanged(inputs: dict[str, Any]) -> None:
    try:
        context = parse_inputs(inputs, defaults=True)
    except CaseFileError:
        return  # a vignette about input that cannot be read has no report
    report = with_clinical(context, as_of=date(2026, 11, 1))
    bundle = fhir_bundle(report)
    Bundle.model_validate(bundle)
    answer = report.guidance.value  # type: ignore[union-attr]
    status = only(bundle, "GuidanceResponse")["status"]
    expected = {
        Category.TEST_FIRST: "data-required",
        Category.REJECT_INVALID_INPUT: "failure",
        Category.REFUSE_OUT_OF_SCOPE: "failure",
    }
    assert status == expected.get(answer.category, "success")
    assert len(resources(bundle, "CarePlan")) == len(answer.options)
    assert len(resources(bundle, "RequestGroup")) == bool(answer.options)
    assert len(resources(bundle, "ServiceRequest")) == sum(not test.done for test in answer.tests)
    if status == "data-required":
        assert only(bundle, "GuidanceResponse")["dataRequirement"]


def test_an_issue_names_fields_in_words() -> None:
    finding = samples.findings()[0].model_copy(update={"message": "Only one sees til_density."})
    bundle = fhir_bundle(samples.full().model_copy(update={"findings": (finding,)}))
    assert "Only one sees TIL density." in only(bundle, "DetectedIssue")["detail"]
