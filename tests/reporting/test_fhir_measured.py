"""Measured facts as Observations: the value as stated, or the reason why there is none."""

from datetime import date
from typing import Any

import pytest
import samples
from fhir_support import LOINC, bundle_of, by_url, dicts, observation, resources

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.reporting.fhir import fhir_bundle

TPS = {"system": LOINC, "code": "83053-9"}
STATES = [
    (State.pending, "registered", "temp-unknown"),
    (State.not_done, "cancelled", "not-performed"),
    (State.failed, "final", "error"),
    (State.indeterminate, "final", "unknown"),
    (State.unknown, "unknown", "unknown"),
]


def pdl1(value: float | str | None, **change: Any) -> dict[str, Any]:
    """Return the Observation of one PD-L1 result."""
    state = change.pop("state", State.measured)
    specimen = change.pop("specimen", None)
    tps = Measured[float | str](state=state, value=value, specimen=specimen)
    result = Pdl1Result(tps=tps, **{"score_type": "TPS", **change})
    name = "score" if result.score_type == "unknown" else result.score_type
    return observation(bundle_of(ClinicalContext(pdl1=(result,))), f"PD-L1 {name}")


def gene(value: str | None, method: str | None = "NGS_DNA_RNA", **change: Any) -> dict[str, Any]:
    """Return the Observation of one gene result."""
    name = change.pop("gene", Gene.EGFR)
    state = change.pop("state", State.measured)
    specimen = change.pop("specimen", None)
    result = GeneResult.model_validate(
        {
            "gene": name,
            "result": {"state": state, "value": value, "specimen": specimen},
            "method": method,
            **change,
        }
    )
    return observation(bundle_of(ClinicalContext(genes=(result,))), f"{name} alteration")


def test_a_measured_tps_is_a_percentage_of_the_neutral_code() -> None:
    found = pdl1(60.0, assay="SP263")
    assert found["status"] == "final"
    assert found["code"]["coding"] == [TPS]
    assert found["valueQuantity"] == {
        "value": 60, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%",
    }  # fmt: skip
    assert found["method"]["text"] == "SP263"
    assert "dataAbsentReason" not in found


@pytest.mark.parametrize(
    ("stated", "value"),
    [
        ("<1", {"comparator": "<", "value": 1}),
        ("<= 1 %", {"comparator": "<=", "value": 1}),
        (">=50", {"comparator": ">=", "value": 50}),
        ("60%", {"value": 60}),
        (0.5, {"value": 0.5}),
        (0, {"value": 0}),
    ],
)
def test_bounds_keep_their_comparator(stated: float | str, value: dict[str, Any]) -> None:
    found = pdl1(stated)["valueQuantity"]
    assert {key: found[key] for key in ("comparator", "value") if key in found} == value


def test_an_interval_is_a_range() -> None:
    found = pdl1("1-49")["valueRange"]
    assert (found["low"]["value"], found["high"]["value"]) == (1, 49)


@pytest.mark.parametrize("stated", [150.0, -1.0, "many", "90-110", ">200"])
def test_an_impossible_tps_is_no_value(stated: float | str) -> None:
    found = pdl1(stated)
    assert found["dataAbsentReason"]["coding"][0]["code"] == "error"
    assert not [key for key in found if key.startswith("value")]


def test_a_value_without_a_unit_gets_none() -> None:
    assert pdl1(0.6, unit="missing")["valueString"] == "0.6 (unit not stated)"


@pytest.mark.parametrize(("score", "has_code"), [("TC", True), ("unknown", True),
                                                 ("IC", False), ("CPS", False)])  # fmt: skip
def test_only_tumour_scores_carry_the_tps_code(score: str, has_code: bool) -> None:
    found = pdl1(30.0, score_type=score)
    assert (TPS in found["code"].get("coding", [])) is has_code
    if score == "CPS":
        assert "unit" not in found["valueQuantity"]
    if score == "unknown":
        assert "score type not stated" in found["note"][0]["text"]


def test_too_few_cells_give_no_value() -> None:
    found = pdl1(0.0, specimen=SpecimenRef(viable_tumour_cells=99))
    assert not [key for key in found if key.startswith("value")]
    assert "fewer than 100" in found["dataAbsentReason"]["text"]
    assert found["note"][0]["text"] == "stated as 0.0"
    assert "valueQuantity" in pdl1(0.0, specimen=SpecimenRef(viable_tumour_cells=100))


@pytest.mark.parametrize(("state", "status", "reason"), STATES)
def test_no_value_says_why(state: State, status: str, reason: str) -> None:
    context = ClinicalContext(
        pdl1=(Pdl1Result(tps=Measured[float | str](state=state)),),
        msi=Measured(state=state),
        mmr=Measured(state=state),
        tmb=Measured(state=state),
        her2_ihc=Measured(state=state),
        met_ihc_3plus_pct=Measured(state=state),
        genes=tuple(GeneResult(gene=g, result=Measured[str](state=state)) for g in Gene),
    )
    bundle = bundle_of(context)
    clinical = {"ECOG performance status", "Stage group", "Histology"}
    found = [r for r in resources(bundle, "Observation") if r["code"]["text"] not in clinical]
    assert len(found) == len(Gene) + 6
    for item in found:
        assert item["status"] == status
        assert item["dataAbsentReason"]["coding"][0]["code"] == reason
        assert item["dataAbsentReason"]["text"] == str(state).replace("_", " ")
        assert not [key for key in item if key.startswith("value")]


def test_what_nobody_said_is_unknown_and_never_negative() -> None:
    found = resources(bundle_of(ClinicalContext()), "Observation")
    assert len(found) == len(Gene) + 9
    assert {item["status"] for item in found} == {"unknown"}
    assert all(item["dataAbsentReason"]["text"] == "unknown" for item in found)
    assert "LA9634-2" not in str(found)


@pytest.mark.parametrize(("value", "code"), [("MSI-H", "LA26203-2"), ("MSS", "LA14122-8")])
def test_msi_has_the_answers_of_its_list(value: str, code: str) -> None:
    context = ClinicalContext(msi=Measured(state=State.measured, value=value, method="PCR"))
    found = observation(bundle_of(context), "Microsatellite instability")
    assert found["code"]["coding"] == [{"system": LOINC, "code": "81695-9"}]
    assert found["valueCodeableConcept"]["coding"] == [{"system": LOINC, "code": code}]


def test_tmb_of_blood_is_not_tmb_of_the_tumour() -> None:
    tissue = ClinicalContext(tmb=Measured(state=State.measured, value=11.5, method="tissue"))
    found = observation(bundle_of(tissue), "Tumour mutational burden")
    assert found["valueQuantity"]["value"] == 11.5
    assert found["valueQuantity"]["code"] == "1/1000000{Base}"
    assert found["code"]["coding"][0]["code"] == "94076-7"
    blood = ClinicalContext(tmb=Measured(state=State.measured, value=11.5, method="blood"))
    assert "coding" not in observation(bundle_of(blood), "Tumour mutational burden, blood")["code"]


def test_an_alteration_is_present_and_names_its_gene() -> None:
    found = gene("L858R")
    assert found["code"]["coding"][0]["code"] == "69548-6"
    assert found["valueCodeableConcept"] == {
        "coding": [{"system": LOINC, "code": "LA9633-4"}], "text": "L858R",
    }  # fmt: skip
    studied = found["component"][0]["valueCodeableConcept"]
    assert studied["coding"][0]["code"] == "HGNC:3236"
    assert found["method"]["text"] == "NGS DNA RNA"


def test_an_adequate_negative_is_absent() -> None:
    assert gene("negative")["valueCodeableConcept"]["coding"][0]["code"] == "LA9634-2"


@pytest.mark.parametrize(
    "change",
    [
        {"method": "CTDNA_NGS", "shedding_detected": False},
        {"method": "CTDNA_NGS"},
        {"method": None},
        {"method": "FISH"},
        {"gene": Gene.NRG1, "method": "NGS_DNA"},
        {"specimen": {"tumour_cellularity_pct": 10}},
    ],
)
def test_a_negative_that_excludes_nothing_is_no_negative(change: dict[str, Any]) -> None:
    found = gene("negative", **change)
    assert "valueCodeableConcept" not in found
    assert "not adequate" in found["dataAbsentReason"]["text"]
    assert any("stated negative" in item["text"] for item in found["note"])


def test_the_specimen_of_the_case_judges_results_without_their_own() -> None:
    negative = Measured[str](state=State.measured, value="negative")
    context = ClinicalContext(
        specimen=SpecimenRef(tumour_cellularity_pct=10, viable_tumour_cells=50),
        genes=(GeneResult(gene=Gene.EGFR, result=negative, method="NGS_DNA"),),
        pdl1=(Pdl1Result(tps=Measured[float | str](state=State.measured, value=0.0)),),
    )
    bundle = bundle_of(context)
    for name in ("EGFR alteration", "PD-L1 score"):
        found = observation(bundle, name)
        assert "dataAbsentReason" in found
        assert "specimen" not in found


def test_an_unconfirmed_ros1_by_ihc_is_not_coded_as_present() -> None:
    found = gene("fusion", gene=Gene.ROS1, method="IHC")
    assert found["valueCodeableConcept"] == {"text": "fusion"}
    assert "not confirmed" in found["note"][0]["text"]


def test_source_laboratory_and_specimen_are_kept() -> None:
    bundle = fhir_bundle(samples.full())
    found = observation(bundle, "PD-L1 TPS")
    assert found["derivedFrom"][0]["identifier"]["value"] == "R-2291"
    assert found["note"][0]["text"] == "reported 2026-06-18"
    core = by_url(bundle)[found["specimen"]["reference"]]
    assert core["note"][0]["text"] == "tumour cellularity 40 %"
    egfr = observation(bundle, "EGFR alteration")
    assert egfr["performer"] == [{"display": "Reference laboratory"}]
    assert egfr["specimen"] == found["specimen"]
    assert len(resources(bundle, "Specimen")) == 1


def test_the_day_of_the_specimen_is_the_day_of_the_observation() -> None:
    specimen = SpecimenRef(
        type="core", collected=date(2026, 5, 4), decalcified=True, before_intervening_therapy=True
    )
    assert pdl1(30.0, specimen=specimen)["effectiveDateTime"] == "2026-05-04"


def test_performance_and_stage_are_stated_with_their_edition() -> None:
    context = ClinicalContext(ecog=0, stage_group="IIIA", staging_system="AJCC9", t="T2a", n="N2b")
    bundle = bundle_of(context)
    ecog, stage = observation(bundle, "ECOG performance status"), observation(bundle, "Stage group")
    assert ecog["valueInteger"] == 0
    assert ecog["code"]["coding"][0]["code"] == "89247-1"
    assert stage["valueCodeableConcept"] == {"text": "IIIA"}
    assert stage["method"] == {"text": "AJCC9"}
    assert [p["valueCodeableConcept"]["text"] for p in stage["component"]] == ["T2a", "N2b"]
    assert "coding" not in stage["code"]  # clinical or pathological was not said


def test_an_edition_that_was_not_stated_is_said() -> None:
    stage = observation(bundle_of(ClinicalContext(stage_group="IVA")), "Stage group")
    assert "method" not in stage
    assert stage["note"][0]["text"] == "the edition was not stated"


def test_disease_codes_need_the_site() -> None:
    lung = ClinicalContext(histology="adenocarcinoma", primary_site="lung", stage_group="IVA",
                           diagnosed_on=date(2026, 5, 1))  # fmt: skip
    (condition,) = resources(bundle_of(lung), "Condition")
    codes = [item["code"] for item in condition["code"]["coding"]]
    assert codes == ["254626006", "C3512"]
    unsaid = ClinicalContext(histology="adenocarcinoma", stage_group="IVA")
    bundle = bundle_of(unsaid)
    assert resources(bundle, "Condition") == []
    value = observation(bundle, "Histology")["valueCodeableConcept"]
    assert value["coding"][0]["code"] == "8140/3"


def test_an_unverified_code_leaves_its_text() -> None:
    value = observation(bundle_of(ClinicalContext(histology="squamous")), "Histology")
    assert value["valueCodeableConcept"] == {"text": "squamous"}


def test_foreign_displays_are_not_sent() -> None:
    for item in dicts(fhir_bundle(samples.full())):
        if str(item.get("system", "")).startswith("http"):
            assert "display" not in item
