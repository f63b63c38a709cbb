"""Clinical facts as rows: everything stated is shown as stated, everything else is unknown."""

from datetime import date
from typing import Any

import pytest
from domain_strategies import instances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.domain.clinical import (
    Autoimmune,
    BleedingVascular,
    ClinicalContext,
    Infections,
    OrganFunction,
    PriorIo,
    PriorTherapy,
    Surgery,
)
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.reporting.clinical_view import (
    UNKNOWN,
    measured_rows,
    open_results,
    result_rows,
    stated_rows,
    unstated,
)
from immunopath.reporting.document import Pair

few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
CORE = {"histology": "Histology", "stage_group": "Stage", "line": "Line", "ecog": "ECOG"}
LABORATORY = {"pdl1", "msi", "mmr", "tmb", "genes", "her2_ihc", "met_ihc_3plus_pct", "problems"}
FACTS = [n for n in ClinicalContext.model_fields if n not in LABORATORY and n not in CORE]
MEASURED = date(2026, 6, 1)


def measured(value: Any, **more: Any) -> Measured[Any]:
    return Measured(state=State.measured, value=value, **more)


def tps(value: float | str, **more: Any) -> Pdl1Result:
    return Pdl1Result(tps=Measured[float | str](state=State.measured, value=value), **more)


def by_label(rows: tuple[Pair, ...]) -> dict[str, Pair]:
    return {row.label: row for row in rows}


@few
@given(instances(ClinicalContext))
def test_every_fact_is_either_shown_or_listed_as_unknown(clinical: ClinicalContext) -> None:
    shown = {row.label for row in stated_rows(clinical)}
    absent = set(unstated(clinical))
    assert not shown & absent
    assert len(shown) + len(absent) == len(FACTS)
    assert all(row.value and row.value != UNKNOWN for row in stated_rows(clinical))


@few
@given(instances(ClinicalContext))
def test_no_result_is_lost(clinical: ClinicalContext) -> None:
    reported = [r for r in clinical.genes if r.result.state is not State.unknown]
    rows = result_rows(clinical)
    for result in reported:
        mine = [row for row in rows if row.label == result.gene]
        word = str(result.result.value) if result.result.known else None
        state = result.result.state.replace("_", " ")
        assert any(row.value == (word or state) for row in mine)
    assert len([row for row in rows if row.label.startswith("PD-L1")]) == len(clinical.pdl1)
    waiting = [r for r in clinical.genes if r.result.state not in (State.measured, State.unknown)]
    assert len(open_results(clinical)) >= len(waiting)
    assert all(not row.known for row in open_results(clinical))


@few
@given(instances(ClinicalContext))
def test_the_box_names_every_gene_once_or_more_and_claims_nothing(
    clinical: ClinicalContext,
) -> None:
    rows = measured_rows(clinical)
    text = " ".join(f"{row.label} {row.value}" for row in rows)
    for gene in Gene:
        assert gene in text
    negative = {r.gene for r in clinical.genes if r.result.value == "negative"}
    for row in rows:
        if row.value == "negative":
            assert set(row.label.split(", ")) <= negative


@given(st.floats(0, 100))
def test_a_measured_number_is_never_rounded_across_a_threshold(value: float) -> None:
    rows = by_label(result_rows(ClinicalContext(pdl1=(tps(value, score_type="TPS"),))))
    shown = float(rows["PD-L1 TPS"].value.removesuffix(" %"))
    assert shown == pytest.approx(value, rel=1e-11)
    for limit in (1, 50):
        assert (shown >= limit) is (value >= limit) or abs(value - limit) < 1e-9


@pytest.mark.parametrize(
    ("result", "label", "value"),
    [
        (tps(30.0, score_type="TPS"), "PD-L1 TPS", "30 %"),
        (tps("<1", score_type="TPS"), "PD-L1 TPS", "<1 %"),
        (tps(49.96, score_type="TPS"), "PD-L1 TPS", "49.96 %"),
        (tps("10", score_type="CPS"), "PD-L1 CPS", "10 %"),
        (tps(0.3, unit="missing"), "PD-L1 score", "0.3 (unit not stated)"),
    ],
)
def test_pdl1_keeps_its_score_and_its_unit(result: Pdl1Result, label: str, value: str) -> None:
    clinical = ClinicalContext(pdl1=(result,))
    for rows in (result_rows(clinical), measured_rows(clinical)):
        assert by_label(rows)[label].value == value


@pytest.mark.parametrize(
    ("name", "value", "label", "text"),
    [
        ("tmb", 10.04, "TMB", "10.04 mut/Mb"),
        ("her2_ihc", 3, "HER2 IHC", "3+"),
        ("met_ihc_3plus_pct", 25.0, "MET IHC 3+", "25 %"),
        ("msi", "MSI-H", "MSI", "MSI-H"),
        ("mmr", "dMMR", "MMR IHC", "dMMR"),
    ],
)
def test_every_laboratory_value_has_its_unit(name: str, value: Any, label: str, text: str) -> None:
    clinical = ClinicalContext.model_validate(
        {name: {"state": "measured", "value": value, "reported_on": MEASURED}}
    )
    row = by_label(result_rows(clinical))[label]
    assert row == Pair(label, text, "2026-06-01")
    waiting = ClinicalContext.model_validate({name: {"state": "not_done"}})
    assert by_label(open_results(waiting))[label] == Pair(label, "not done", known=False)
    assert label in by_label(measured_rows(ClinicalContext()))["Unknown"].value


def test_the_basis_names_everything_a_reader_can_check() -> None:
    specimen = SpecimenRef(
        site="lung", type="fna_cellblock", collected=date(2026, 5, 1), tumour_cellularity_pct=15,
        viable_tumour_cells=80, decalcified=True, before_intervening_therapy=True,
    )  # fmt: skip
    result = Measured[str](
        state=State.measured, value="L858R", method="NGS", assay="panel 500", specimen=specimen,
        reported_on=MEASURED, lab="Reference laboratory", source_ref="R-1",
    )  # fmt: skip
    gene = GeneResult(gene=Gene.EGFR, result=result, method="NGS_DNA", shedding_detected=True)
    (row,) = result_rows(ClinicalContext(genes=(gene,)))
    assert row.detail == (
        "NGS of DNA, NGS, panel 500, lung, fna cellblock, cellularity 15 %, "
        "80 viable tumour cells, decalcified, taken before a later therapy, "
        "collected 2026-05-01, 2026-06-01, Reference laboratory, R-1, tumour DNA seen"
    )


@pytest.mark.parametrize("seen", [True, False, None])
def test_a_negative_liquid_biopsy_says_whether_tumour_dna_was_seen(seen: bool | None) -> None:
    gene = GeneResult(gene=Gene.ALK, result=measured("negative"), shedding_detected=seen)
    (row,) = result_rows(ClinicalContext(genes=(gene,)))
    words = {True: "tumour DNA seen", False: "no tumour DNA seen", None: ""}
    assert row.detail == words[seen]


def test_two_results_of_one_gene_are_both_shown() -> None:
    results = ("negative", "L858R")
    genes = tuple(GeneResult(gene=Gene.EGFR, result=measured(value)) for value in results)
    shown = [row.value for row in result_rows(ClinicalContext(genes=genes))]
    assert shown == list(results)


@pytest.mark.parametrize(
    ("facts", "label", "text"),
    [
        ({"smoking_status": "never"}, "Smoking status", "never"),
        ({"hearing_loss": False}, "Hearing loss", "no"),
        ({"oligometastatic": True}, "Oligometastatic disease", "yes"),
        ({"neuropathy_grade": 0}, "Neuropathy grade", "0"),
        ({"weight_kg": 64.55}, "Weight", "64.55 kg"),
        ({"diagnosed_on": date(2026, 1, 2)}, "Diagnosed on", "2026-01-02"),
        ({"crt_status": "completed_concurrent"}, "Chemoradiation", "completed concurrent"),
        ({"metastatic_sites": ()}, "Metastatic sites", "none"),
        ({"metastatic_sites": ("brain", "liver")}, "Metastatic sites", "brain, liver"),
        ({"surgery": Surgery(done=True, on=date(2026, 1, 2), margin="R1")}, "Surgery",
         "yes; on 2026-01-02; margin R1"),
        ({"prior_io": PriorIo(given=False)}, "Prior immunotherapy", "no"),
        ({"autoimmune": Autoimmune(present=True, active=False)}, "Autoimmune disease",
         "yes; active no"),
        ({"prior_therapies": (PriorTherapy(regimen="RX-OSI", reason_stopped="progression"),)},
         "Prior therapies", "regimen RX-OSI; reason stopped progression"),
        ({"specimen": SpecimenRef(type="core", tumour_cellularity_pct=45)}, "Specimen",
         "type core; tumour cellularity 45 %"),
        ({"infections": Infections(hiv=False)}, "Infections", "HIV no"),
        ({"organ_function": OrganFunction(crcl_ml_min=44.9)}, "Organ function",
         "creatinine clearance 44.9 mL/min"),
        ({"bleeding_vascular": BleedingVascular(haemoptysis=True)}, "Bleeding and vascular risk",
         "haemoptysis yes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_facts_in_words(facts: dict[str, Any], label: str, text: str) -> None:
    clinical = ClinicalContext(**facts)
    assert by_label(stated_rows(clinical))[label] == Pair(label, text)
    assert label not in unstated(clinical)
    assert label in unstated(ClinicalContext())


@pytest.mark.parametrize("name", CORE)
def test_core_facts_stand_first_even_when_unknown(name: str) -> None:
    rows = measured_rows(ClinicalContext())
    assert [row.label for row in rows[:4]] == list(CORE.values())
    assert by_label(rows)[CORE[name]] == Pair(CORE[name], UNKNOWN, known=False)


@pytest.mark.parametrize("name", ["allergies", "concomitant_drugs", "emergency"])
def test_an_empty_list_of_such_facts_is_no_statement(name: str) -> None:
    """Their default is empty: nobody said that there are none."""
    label = name.replace("_", " ").capitalize()
    assert label in unstated(ClinicalContext.model_validate({name: ()}))


def test_facts_are_named_in_words_with_their_units() -> None:
    clinical = ClinicalContext(
        age_years=64,
        prednisone_equiv_mg_day=12.5,
        organ_function=OrganFunction(ast_alt_x_uln=2.5, anc_per_ul=1500),
    )
    rows = by_label(stated_rows(clinical))
    assert rows["Age"].value == "64 years"
    assert rows["Prednisone equivalent"].value == "12.5 mg/day"
    assert rows["Organ function"].value == "AST or ALT 2.5 × ULN; neutrophils 1500 per µL"
    assert not [label for label in unstated(ClinicalContext()) if "mg day" in label]
