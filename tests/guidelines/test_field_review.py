"""What a field review of the tables found: each finding with the case that shows it."""

from collections.abc import Callable

from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Guidance, Option
from immunopath.guidelines.facts import base_facts
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.pdl1 import read_pdl1

Run = Callable[..., Guidance]


def option(guidance: Guidance, regimen_id: str) -> Option:
    return next(o for o in guidance.options if o.regimen_id == regimen_id)


def test_amivantamab_with_chemotherapy_is_weak_after_platinum(run: Run) -> None:
    listed = run(drivers="EGFR:ex19del", line=2, prior_therapies=["RX-OSI-CHEMO"])
    again = option(listed, "RX-AMI-CHEMO-2L")
    assert again.strength == "C"
    assert any("MARIPOSA-2 excluded" in note for note in again.notes)
    assert option(listed, "RX-DATO-EGFR").rank < again.rank
    naive = option(run(drivers="EGFR:ex19del", line=2, prior_therapies=["RX-OSI"]),
                   "RX-AMI-CHEMO-2L")  # fmt: skip
    assert (naive.rank, naive.strength) == (1, "A2")


def test_a_combination_with_platinum_after_platinum_is_weak(run: Run) -> None:
    late = run(drivers="EGFR:ex19del", line=2, prior_therapies=["RX-PLAT-TAX"])
    assert option(late, "RX-OSI-CHEMO").strength == "C"
    assert option(late, "RX-OSI").strength == "A1"


def test_chemotherapy_ranks_behind_the_target(run: Run) -> None:
    listed = run(drivers="KRAS:G12C", line=2, prior_therapies=["RX-GEM-2L"])
    assert option(listed, "RX-SOTO").rank < option(listed, "RX-PLAT-PEM").rank


AFTER_CRT = {"stage": "IIIB", "question": "stage_iii_unresectable",
             "crt_status": "completed_concurrent", "progression_after_crt": False}  # fmt: skip


def test_consolidation_with_untested_drivers_says_so(run: Run) -> None:
    guidance = run(histology="squamous", drivers="all_unknown", pdl1_tps=30, **AFTER_CRT)
    assert any("not established" in note for note in option(guidance, "RX-DURVA-CONS").notes)
    panel = next(t for t in guidance.tests if t.code == "NGS_DNA_RNA")
    assert panel.level == "T1"
    said = " ".join(rule.summary for rule in guidance.fired)
    assert "no driver" not in said
    tested = run(histology="squamous", pdl1_tps=30, **AFTER_CRT)
    notes = option(tested, "RX-DURVA-CONS").notes
    assert not any("not established" in note for note in notes)


def test_an_open_lung_question_names_durvalumab(run: Run) -> None:
    guidance = run(pdl1_tps=30, ild="unknown", **AFTER_CRT)
    row = next(r for r in guidance.what_would_change if r.if_result == "none")
    assert row.question.startswith("Durvalumab consolidation")
    assert row.opens == ("RX-DURVA-CONS",)


def test_headlines_claim_no_more_than_was_measured(run: Run) -> None:
    kras = run(drivers="KRAS:G12C", pdl1_tps=80).headline
    assert kras.startswith("No measured driver with an option in this line")
    untested = run(histology="squamous", drivers="all_unknown", pdl1_tps=80, smoking="current")
    assert untested.headline.endswith("; drivers not excluded.")
    assert "not excluded" not in run(pdl1_tps=80).headline


def test_a_measured_driver_is_not_called_negative(run: Run) -> None:
    egfr = run(drivers="EGFR:L858R", drivers_method="NGS_DNA", smoking="never", pdl1_tps=80)
    assert "OV-5" not in egfr.rule_ids()


def test_a_fired_caution_reaches_the_option(run: Run) -> None:
    ipf = run(pdl1_tps=80, idiopathic_pulmonary_fibrosis=True)
    pembro = option(ipf, "RX-PEMBRO")
    assert "CI-9" not in pembro.counter_indications_checked
    assert any(n.startswith("caution: ") and n.endswith("(CI-9)") for n in pembro.notes)
    clear = option(run(pdl1_tps=80, idiopathic_pulmonary_fibrosis=False), "RX-PEMBRO")
    assert "CI-9" in clear.counter_indications_checked
    assert not any("caution" in note for note in clear.notes)
    kidney = run(drivers="EGFR:L858R", transplant="solid_kidney")
    for listed in kidney.options:
        warned = any("(CI-27)" in note for note in listed.notes)
        assert warned is ("cisplatin" in listed.drugs)


def test_osimertinib_names_heart_and_lung_questions(run: Run) -> None:
    unknowns = option(run(drivers="EGFR:L858R"), "RX-OSI").unknowns
    assert {"left ventricular ejection fraction", "QTc", "pulmonary fibrosis"} <= set(unknowns)
    fibrosis = option(run(pdl1_tps=80), "RX-PEMBRO").unknowns
    assert "pulmonary fibrosis" in fibrosis


def test_at_ecog_2_the_strength_is_not_that_of_the_trials(run: Run) -> None:
    for tps in (80, 10):
        listed = run(pdl1_tps=tps, ecog=2).options
        assert {o.strength for o in listed} == {"C"}
        assert all("ECOG 2: the trials enrolled ECOG 0-1" in o.notes for o in listed)


def test_ici_given_none_is_no_earlier_therapy() -> None:
    context = ClinicalContext.model_validate(
        {"histology": "squamous", "stage_group": "IVB", "prior_io": {"given": False},
         "prior_therapies": ()}
    )  # fmt: skip
    kb = load_knowledge()
    base = base_facts(kb, context, read_pdl1(kb, context, AS_OF), AS_OF)
    assert base["prior_any"] is False
