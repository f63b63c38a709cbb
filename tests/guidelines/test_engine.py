from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Category, Guidance
from immunopath.domain.measured import Measured, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.guidelines.derive import DERIVED_FROM, derive
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.facts import base_facts
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.pdl1 import read_pdl1

Run = Callable[..., Guidance]


def test_nothing_known_ends_in_test_first() -> None:
    guidance = evaluate(ClinicalContext(), as_of=AS_OF)
    assert guidance.category is Category.TEST_FIRST
    assert guidance.options == ()
    assert {"PATH_REVIEW", "NGS_DNA_RNA", "PDL1_IHC"} <= {t.code for t in guidance.tests}
    assert "histology" in guidance.missing


def test_the_output_says_which_knowledge_it_rests_on(run: Run, kb: Knowledge) -> None:
    guidance = run(pdl1_tps=80)
    assert guidance.knowledge_version == kb.version
    assert guidance.knowledge_date == kb.manifest.knowledge_date
    assert guidance.as_of == AS_OF
    assert "Research use only" in guidance.research_use
    keys = {row.key for row in guidance.references}
    assert {key for option in guidance.options for key in option.evidence} <= keys
    assert {key for rule in guidance.fired for key in rule.references} <= keys


def test_old_knowledge_says_so() -> None:
    late = evaluate(ClinicalContext(), as_of=date(2027, 6, 1))
    assert "KNOWLEDGE_STALE" in late.flag_codes()
    assert "KNOWLEDGE_STALE" not in evaluate(ClinicalContext(), as_of=AS_OF).flag_codes()


def test_options_are_ranked_without_gaps_and_carry_their_grounds(run: Run) -> None:
    guidance = run(pdl1_tps=20)
    ranks = [option.rank for option in guidance.options]
    assert ranks == sorted(ranks)
    assert set(ranks) == set(range(1, max(ranks) + 1))
    for option in guidance.options:
        assert option.rule_ids
        assert option.evidence
        assert "CI-2" in option.counter_indications_checked


def test_unknown_safety_facts_are_listed_with_the_option() -> None:
    context = ClinicalContext(
        primary_site="lung",
        histology="squamous",
        stage_group="IVB",
        line=1,
        smoking_status="current",
        age_years=70,
        pdl1=(Pdl1Result(tps=Measured[float | str](state=State.measured, value=80.0)),),
    )
    guidance = evaluate(context, as_of=AS_OF)
    assert guidance.category is Category.ICI_MONO_OPTIONS
    assert {"transplant history", "autoimmune disease", "ECOG"} <= set(guidance.options[0].unknowns)
    assert {"TRANSPLANT_UNKNOWN", "ECOG_UNKNOWN"} <= guidance.flag_codes()
    assert any("EGFR/ALK negative" in note for note in guidance.options[0].notes)
    assert "CI-2" not in guidance.options[0].counter_indications_checked


def test_bevacizumab_row_goes_when_one_drug_of_a_component_stays(run: Run) -> None:
    listed = run(pdl1_tps=20, crcl_ml_min=40).options
    cemi = next(o for o in listed if o.regimen_id == "RX-CEMI-CHEMO")
    assert "pemetrexed" not in cemi.drugs
    assert "paclitaxel" in cemi.drugs
    assert "cisplatin" not in cemi.drugs


def test_squamous_regimens_resolve_to_squamous_partners(run: Run) -> None:
    listed = run(histology="squamous", pdl1_tps=20).options
    cemi = next(o for o in listed if o.regimen_id == "RX-CEMI-CHEMO")
    assert cemi.components == (("cemiplimab",), ("cisplatin", "carboplatin"), ("paclitaxel",))


def test_a_combination_moves_up_with_liver_metastases(run: Run) -> None:
    plain = {o.regimen_id: o.rank for o in run(pdl1_tps=80).options}
    liver = {o.regimen_id: o.rank for o in run(pdl1_tps=80, metastatic_sites=["liver"]).options}
    assert plain["RX-PEMBRO-PEM-PLAT"] == 2
    assert liver["RX-PEMBRO-PEM-PLAT"] == 1
    assert liver["RX-ATEZO-BEV-CP"] < plain["RX-ATEZO-BEV-CP"]


def gene(result: str, method: str, **more: Any) -> GeneResult:
    measured = Measured[str](state=State.measured, value=result)
    return GeneResult.model_validate(
        {"gene": Gene.EGFR, "result": measured, "method": method, **more}
    )


def stage_iv(**more: Any) -> ClinicalContext:
    return ClinicalContext.model_validate(
        {"histology": "adenocarcinoma", "stage_group": "IVB", "line": 1, "ecog": 1, **more}
    )


def test_two_tissue_results_that_contradict_are_retested() -> None:
    context = stage_iv(genes=(gene("L858R", "PCR"), gene("negative", "NGS_DNA")))
    guidance = evaluate(context, as_of=AS_OF)
    assert guidance.category is Category.TEST_FIRST
    assert "VAL-4" in guidance.rule_ids()


@pytest.mark.parametrize("swap", [False, True])
def test_a_positive_result_wins_over_ctdna_or_tissue(swap: bool) -> None:
    methods = ("CTDNA_NGS", "NGS_DNA") if swap else ("NGS_DNA", "CTDNA_NGS")
    results = (
        gene("L858R", methods[0], shedding_detected=True),
        gene("negative", methods[1], shedding_detected=True),
    )
    guidance = evaluate(stage_iv(genes=results), as_of=AS_OF)
    assert guidance.category is Category.DRIVER_DIRECTED
    assert "DISCORD_MEASURED" in guidance.flag_codes()


def test_dates_in_the_future_are_rejected_with_their_field() -> None:
    context = ClinicalContext(crt_end_date=date(2030, 1, 1))
    guidance = evaluate(context, as_of=AS_OF)
    assert guidance.category is Category.REJECT_INVALID_INPUT
    assert [(p.field, p.code) for p in guidance.problems] == [("crt_end_date", "DATE_IN_FUTURE")]


def test_all_problems_are_listed(run: Run) -> None:
    guidance = run(pdl1_tps=150, n="N2a", line=2)
    codes = {problem.code for problem in guidance.problems}
    assert codes == {"TPS_RANGE", "STAGE_INCONSISTENT", "LINE_INCONSISTENT"}
    assert guidance.tests == ()


def test_the_line_is_asked_for() -> None:
    context = ClinicalContext(histology="adenocarcinoma", stage_group="IVB")
    guidance = evaluate(context, as_of=AS_OF)
    assert "RT-11" in guidance.rule_ids()
    assert guidance.category is Category.TEST_FIRST


def test_later_line_without_history_lists_no_ici() -> None:
    context = ClinicalContext(histology="adenocarcinoma", stage_group="IVB", line=2)
    guidance = evaluate(context, as_of=AS_OF)
    assert {"L2-15", "L2-16"} <= set(guidance.rule_ids())
    assert guidance.category is Category.TEST_FIRST


def test_crisis_raises_the_level_of_laboratory_tests(run: Run) -> None:
    guidance = run(drivers="all_unknown", tempo="crisis", pdl1_tps="not_done")
    levels = {t.code: t.level for t in guidance.tests}
    assert levels["EGFR_RAPID"] == "T0"
    assert guidance.triage.level == "T0"


def test_cns_disease_ranks_the_alk_inhibitors(run: Run) -> None:
    plain = {o.regimen_id: o.rank for o in run(drivers="ALK:fusion").options}
    brain = {
        o.regimen_id: o.rank
        for o in run(drivers="ALK:fusion", brain_mets="asymptomatic_untreated").options
    }
    assert plain["RX-LORLA"] == plain["RX-ALEC"] == 1
    assert (brain["RX-LORLA"], brain["RX-ALEC"], brain["RX-ENSA"]) == (1, 2, 3)


def test_an_option_says_what_its_label_and_its_assay_are(run: Run) -> None:
    notes = {o.regimen_id: " ".join(o.notes) for o in run(pdl1_tps=80).options}
    assert "PD-L1 assay of the label: SP142; this result is by 22C3" in notes["RX-ATEZO"]
    assert "assay" not in notes["RX-PEMBRO"]
    egfr = {o.regimen_id: " ".join(o.notes) for o in run(drivers="EGFR:G719X").options}
    assert "outside the US label for this mutation" in egfr["RX-OSI"]
    assert "outside" not in egfr["RX-AFATINIB"]


def test_an_option_says_what_has_to_be_cleared(run: Run) -> None:
    option = next(o for o in run(drivers="KRAS:G12C", line=2, prior_io="progressed",
                                 prior_therapies=["RX-PEMBRO-PEM-PLAT"]).options
                  if o.regimen_id == "RX-ADAGRA")  # fmt: skip
    assert option.unknowns == ("QTc",)
    adjuvant = run(stage="IIB", margin="R0", question="post_resection", pdl1_tps=60,
                   adjuvant_chemo_done="yes")  # fmt: skip
    assert all("ICI before surgery" in o.unknowns for o in adjuvant.options)


def test_barriers_that_ask_for_the_unknown_are_no_checks(run: Run) -> None:
    checked = run(pdl1_tps=80, transplant="unknown").options[0].counter_indications_checked
    assert not {"CI-1", "CI-24"} & set(checked)
    assert {"CI-6", "CI-21"} <= set(checked)


def test_pdl1_results_that_do_not_count_are_listed(run: Run) -> None:
    def tps(value: float, day: date) -> dict[str, Any]:
        specimen = {"collected": day}
        return {"tps": {"state": "measured", "value": value, "specimen": specimen}}

    pdl1 = (tps(80, date(2026, 1, 1)), tps(10, date(2026, 6, 1)))
    measured = evaluate(stage_iv(pdl1=pdl1), as_of=AS_OF).measured
    assert measured["tps_stratum"] == "low"
    assert measured["pdl1_not_used"].startswith("80.0 (unknown, 2026-01-01): high")


@pytest.mark.parametrize(
    ("facts", "field", "code"),
    [
        ({"pregnancy_or_lactation": "yes", "sex_at_birth": "male"}, "pregnancy",
         "PREGNANCY_INCONSISTENT"),
        ({"smoking_status": "light", "pack_years": 40}, "smoking", "SMOKING_INCONSISTENT"),
        ({"autoimmune": {"present": False, "disease": "lupus"}}, "autoimmune",
         "AUTOIMMUNE_INCONSISTENT"),
        ({"brain_mets": "none", "metastatic_sites": ("brain",)}, "brain_mets",
         "METASTASES_INCONSISTENT"),
        ({"m": "M0", "metastatic_sites": ("liver",), "staging_system": "AJCC8"}, "stage",
         "METASTASES_INCONSISTENT"),
        ({"crt_status": "none", "crt_end_date": date(2026, 1, 1)}, "crt_status",
         "CRT_INCONSISTENT"),
        ({"crt_status": "ongoing_concurrent", "progression_after_crt": True}, "crt_status",
         "CRT_INCONSISTENT"),
        ({"crt_end_date": date(2025, 1, 1), "diagnosed_on": date(2025, 2, 1)}, "crt_end_date",
         "CRT_INCONSISTENT"),
        ({"surgery": {"done": False, "margin": "R0"}}, "margin", "SURGERY_INCONSISTENT"),
        ({"prior_io": {"given": False, "agents": ("nivolumab",)}}, "prior_io",
         "PRIOR_IO_INCONSISTENT"),
        ({"question": "later_line_metastatic", "line": 1}, "question", "QUESTION_INCONSISTENT"),
        ({"question": "post_resection", "surgery": {"done": False}}, "question",
         "QUESTION_INCONSISTENT"),
        ({"prior_therapies": ({"regimen": "pembrolizumab"},)}, "prior_therapies",
         "REGIMEN_UNKNOWN"),
        ({"her2_ihc": {"state": "measured", "value": 3, "reported_on": date(2031, 1, 1)}},
         "her2_ihc.reported_on", "DATE_IN_FUTURE"),
    ],
)  # fmt: skip
def test_contradictions_are_rejected_with_their_field(
    facts: dict[str, Any], field: str, code: str
) -> None:
    guidance = evaluate(ClinicalContext.model_validate(facts), as_of=AS_OF)
    assert guidance.category is Category.REJECT_INVALID_INPUT
    assert (field, code) in {(p.field, p.code) for p in guidance.problems}
    assert guidance.options == guidance.conditional == ()


def test_two_wrong_markers_are_both_named(run: Run) -> None:
    guidance = run(drivers="EGFR:nonsense", pdl1_tps={"source": "predicted"}, msi=["MSI-H"])
    assert {p.field for p in guidance.problems} == {"drivers", "pdl1_tps", "msi.value"}


def test_rules_that_read_the_options_only_flag_and_test(kb: Knowledge) -> None:
    """What lets 'what would change' skip them: no such barrier removes, lists or stops."""
    named = {"option_drugs", "option_classes", "option_regimens"}
    for rule in kb.tables["barriers"].rules:
        for then in rule.spec.thens if rule.reads & named else ():
            assert then.remove == then.options == ()
            assert then.stop_ici is then.review is False
            assert then.category is None


def test_derive_reads_only_the_facts_it_declares(kb: Knowledge) -> None:
    context = stage_iv(genes=(gene("L858R", "PCR"),), crt_status="completed_concurrent")
    base = base_facts(kb, context, read_pdl1(kb, context, AS_OF), AS_OF)
    derived = {k: v for k, v in derive(kb, base).items() if k not in base}
    for name in set(base) - DERIVED_FROM:
        for probe in (True, 3, "other"):
            changed = derive(kb, base | {name: probe})
            assert {k: changed[k] for k in derived} == derived, name
