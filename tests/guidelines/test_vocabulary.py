from datetime import date
from typing import Any

import pytest
from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError
from immunopath.domain.measured import State
from immunopath.domain.molecular import Gene
from immunopath.guidelines.check import run_inputs
from immunopath.guidelines.vocabulary import DEFAULTS, KEYS, parse_inputs


def test_without_defaults_absent_is_unknown() -> None:
    assert parse_inputs({}, defaults=False) == ClinicalContext()


def test_the_defaults_are_those_of_the_specification() -> None:
    context = parse_inputs({"histology": "squamous"}, defaults=True)
    assert (context.age_years, context.stage_group, context.line, context.ecog) == (65, "IVB", 1, 1)
    assert (context.staging_system, context.primary_site) == ("AJCC8", "lung")
    assert (context.transplant, context.ild_or_fibrosis) == ("none", "none")
    assert context.autoimmune is not None
    assert context.autoimmune.present is False
    assert context.msi.state is State.not_done
    assert context.genes == ()
    assert set(DEFAULTS) <= KEYS


@pytest.mark.parametrize(
    ("key", "nearest"), [("pdl1_tp", "pdl1_tps"), ("ecoog", "ecog"), ("Histology", "histology")]
)
def test_an_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(CaseFileError, match=f"unknown key '{key}': did you mean '{nearest}'"):
        parse_inputs({key: 1}, defaults=True)


@pytest.mark.parametrize(
    ("inputs", "field", "code"),
    [
        ({"ecog": 7}, "ecog", "VALUE"),
        ({"ecog": "fit"}, "ecog", "VALUE"),
        ({"age": 200}, "age", "VALUE"),
        ({"stage": "V"}, "stage", "VALUE"),
        ({"tempo": "slow"}, "tempo", "VALUE"),
        ({"drivers": "EGFR"}, "drivers", "VALUE"),
        ({"drivers": "EGFR:foo"}, "drivers", "VALUE"),
        ({"drivers": 3}, "drivers", "VALUE"),
        ({"drivers": {"source": "predicted"}}, "drivers", "PREDICTION_IN_MEASURED_SLOT"),
        ({"pdl1_tps": {"source": "predicted"}}, "pdl1_tps", "PREDICTION_IN_MEASURED_SLOT"),
        ({"msi": {"source": "predicted", "value": "MSI-H"}}, "msi", "PREDICTION_IN_MEASURED_SLOT"),
        ({"pdl1_tps": True}, "pdl1_tps", "TPS_RANGE"),
        ({"prior_therapies": ["RX-NOPE"]}, "prior_therapies", "REGIMEN_UNKNOWN"),
        ({"prior_io": "maybe"}, "prior_io", "VALUE"),
        ({"prior_io": {"dose": 3}}, "prior_io", "VALUE"),
        ({"autoimmune": 3}, "autoimmune", "VALUE"),
        ({"tmb_test": "guess"}, "tmb_test", "VALUE"),
        ({"margin": "R9"}, "surgery.margin", "VALUE"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_problem_never_a_default(
    inputs: dict[str, Any], field: str, code: str
) -> None:
    context = parse_inputs(inputs, defaults=True)
    assert [(p.field, p.code) for p in context.problems] == [(field, code)]


def genes(text: str, **more: Any) -> dict[str, str | None]:
    context = parse_inputs({"drivers": text, **more}, defaults=True)
    assert context.problems == ()
    return {r.gene.value: r.result.value for r in context.genes}


def test_macros() -> None:
    assert set(genes("all_neg").values()) == {"negative"}
    assert len(genes("all_neg")) == 11
    assert genes("all_unknown") == {}
    context = parse_inputs({"drivers": "ctdna_negative_no_shedding"}, defaults=True)
    assert {r.method for r in context.genes} == {"CTDNA_NGS"}
    assert {r.shedding_detected for r in context.genes} == {False}


@pytest.mark.parametrize(
    ("text", "gene", "value"),
    [
        ("EGFR:ex19del", "EGFR", "ex19del"), ("egfr: l858r", "EGFR", "L858R"),
        ("HER2:TKD", "ERBB2", "TKD_mutation"), ("ERBB2:mutation", "ERBB2", "TKD_mutation"),
        ("MET:ex14skip", "MET", "ex14"), ("NTRK:fusion", "NTRK1", "fusion"),
        ("STK11:mutation", "STK11", "pathogenic"), ("ALK:rearrangement", "ALK", "fusion"),
        ("BRAF:V600E", "BRAF", "V600E"), ("BRAF:wildtype", "BRAF", "negative"),
    ],
)  # fmt: skip
def test_one_alteration_leaves_the_rest_negative(text: str, gene: str, value: str) -> None:
    found = genes(text)
    assert found[gene] == value
    rest = {k: v for k, v in found.items() if k != gene}
    assert set(rest.values()) == {"negative"}


def test_a_gene_can_be_stated_unknown_among_others() -> None:
    found = genes("EGFR:unknown; KRAS:G12C")
    assert "EGFR" not in found
    assert found["KRAS"] == "G12C"
    assert Gene.ALK.value in found


@pytest.mark.parametrize(
    ("name", "active", "threat"),
    [
        ("myasthenia_active", True, True), ("myasthenia_inactive", False, True),
        ("Myasthenia gravis, active", True, True), ("active myasthenia", True, True),
        ("Guillain-Barré_active", True, True), ("myasthenia (ACTIVE)", True, True),
        ("rheumatoid_active", True, False), ("rheumatoid", False, False),
        ("hypothyroid_active", False, False),
    ],
)  # fmt: skip
def test_autoimmune_names(name: str, active: bool, threat: bool) -> None:
    found = parse_inputs({"autoimmune": name}, defaults=False).autoimmune
    assert found is not None
    assert (found.active, found.life_threatening) == (active, threat)


@pytest.mark.parametrize(
    "name", ["myasthenia", "GBS", "", "_active", "none_active", "myasthenia_active_inactive", 7]
)
def test_an_autoimmune_disease_that_cannot_be_judged_is_a_problem(name: object) -> None:
    """A life-threatening one whose activity nobody states is not read as inactive."""
    (problem,) = parse_inputs({"autoimmune": name}, defaults=False).problems
    assert problem.field == "autoimmune"


@pytest.mark.parametrize("event", ["Guillain-Barré", "ILD", "interstitial lung disease"])
def test_a_severe_event_stops_ici_however_it_is_spelt(event: str) -> None:
    inputs = {
        "histology": "adenocarcinoma", "drivers": "all_neg", "pdl1_tps": 80, "last_ici_days": 400,
        "prior_io": {"agent": "nivolumab", "worst_irae": event, "grade": 3},
    }  # fmt: skip
    guidance = run_inputs(inputs, as_of=AS_OF)
    assert "CI-4" in guidance.rule_ids()


def test_a_severe_event_needs_its_name() -> None:
    stated = {"prior_io": {"agent": "nivolumab", "worst_irae": "", "grade": 3}}
    (problem,) = parse_inputs(stated, defaults=False).problems
    assert "needs its name" in problem.message


def test_no_ici_and_days_since_an_ici_contradict_each_other() -> None:
    (problem,) = parse_inputs({"prior_io": "none", "last_ici_days": 30}, defaults=False).problems
    assert problem.field == "last_ici_days"


@pytest.mark.parametrize("value", [0, 1, "true", "yes"])
def test_a_finding_is_true_or_false_and_nothing_else(value: object) -> None:
    (problem,) = parse_inputs({"hiv": value}, defaults=False).problems
    assert problem.field == "hiv"
    assert parse_inputs({"hiv": True}, defaults=False).infections is not None


def test_a_wrong_value_is_repeated_only_as_far_as_a_line_goes() -> None:
    (problem,) = parse_inputs({"smoking": "x" * 100_000}, defaults=False).problems
    assert len(problem.message) < 300


def test_the_stage_group_0_may_be_written_as_a_number() -> None:
    assert parse_inputs({"stage": 0}, defaults=False).stage_group == "0"


def test_the_days_since_the_last_ici_imply_that_it_was_given() -> None:
    found = parse_inputs({"last_ici_days": 40}, defaults=True).prior_io
    assert found is not None
    assert (found.given, found.days_since_last_dose) == (True, 40)


def test_dates_and_specimen() -> None:
    context = parse_inputs(
        {"specimen_collected": date(2026, 1, 2), "viable_tumour_cells": 90, "pdl1_tps": 20},
        defaults=False,
    )
    assert context.specimen is not None
    assert context.specimen.viable_tumour_cells == 90
    specimen = context.pdl1[0].tps.specimen
    assert specimen is not None
    assert specimen.collected == date(2026, 1, 2)
