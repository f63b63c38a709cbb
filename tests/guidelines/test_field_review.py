"""What a field review of the tables found: each finding with the case that shows it."""

from collections.abc import Callable

from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Category, Guidance, Option
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
    kidney = run(pdl1_tps=80, transplant="solid_kidney")
    assert {"cisplatin"} & set(kidney.option_drugs())
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


def test_the_squamous_tree_shows_the_her2_branch(run: Run) -> None:
    tree = run(histology="squamous", drivers="all_unknown", pdl1_tps=20, smoking="never")
    (her2,) = [b for b in tree.conditional if b.condition.startswith("ERBB2")]
    assert her2.category is Category.ICI_CHEMO_OPTIONS
    assert her2.branches == ()


def test_the_same_tki_after_adjuvant_use_is_not_as_strong(run: Run) -> None:
    listed = run(drivers="EGFR:L858R", prior_therapies=["RX-OSI-ADJ"])
    assert option(listed, "RX-OSI").strength == option(listed, "RX-OSI-CHEMO").strength == "C"
    assert option(listed, "RX-AMI-LAZ").strength == "A1"
    alk = run(drivers="ALK:fusion", prior_therapies=["RX-ALEC-ADJ"])
    assert option(alk, "RX-ALEC").strength == "C"
    assert option(alk, "RX-LORLA").strength == "A2"


def test_no_option_while_a_test_is_awaited_is_no_filter(run: Run) -> None:
    waiting = run(drivers="all_unknown", line=2, prior_therapies=["RX-PEM-2L"], crcl_ml_min=38)
    assert waiting.category is Category.TEST_FIRST
    assert "NO_OPTION_LISTED" not in waiting.flag_codes()


AFTER_SURGERY = {"stage": "IIB", "margin": "R0", "question": "post_resection"}


def test_adjuvant_platinum_rests_on_adjuvant_trials(run: Run) -> None:
    listed = run(histology="squamous", pdl1_tps=80, adjuvant_chemo_done="planned", **AFTER_SURGERY)
    platinum = option(listed, "RX-PLAT-GEM")
    assert platinum.evidence == ("LACE",)
    assert platinum.headline == ""
    assert option(run(drivers="ALK:fusion", line=2, prior_therapies=["RX-ALEC"]),
                  "RX-PLAT-PEM").headline  # fmt: skip


def test_the_evidence_of_an_option_is_its_own(run: Run) -> None:
    assert option(run(pdl1_tps=80), "RX-CEMI").evidence == (
        *load_knowledge().regimens["RX-CEMI"].references, "ASCO")  # fmt: skip
    rows = load_knowledge().references
    assert rows["CB100"].text != rows["CB200"].text


def test_adjuvant_osimertinib_follows_chemotherapy(run: Run) -> None:
    listed = run(drivers="EGFR:ex19del", pdl1_tps=10, adjuvant_chemo_done="yes", **AFTER_SURGERY)
    assert "after chemotherapy when indicated" in option(listed, "RX-OSI-ADJ").notes


def test_words_of_history_claim_no_more_than_was_stated(run: Run) -> None:
    after = run(pdl1_tps=80, prior_therapies=["RX-DURVA-CONS"], prior_io="progressed",
                last_ici_days=100)  # fmt: skip
    assert "no platinum in the metastatic setting" in option(after, "RX-PLAT-PEM").reason
    colitis = run(pdl1_tps=80, prior_io={"agent": "pembrolizumab", "worst_irae": "colitis",
                                         "grade": 3})  # fmt: skip
    fired = next(rule for rule in colitis.fired if rule.rule_id == "CI-5")
    assert "grade 2" not in fired.summary


def test_pdl1_after_ici_does_not_hurry(run: Run) -> None:
    after = run(pdl1_tps="not_done", line=2, prior_io="progressed",
                prior_therapies=["RX-PEMBRO-PEM-PLAT"])  # fmt: skip
    assert next(t for t in after.tests if t.code == "PDL1_IHC").level == "T2"
    naive = run(pdl1_tps="not_done", line=2, prior_therapies=["RX-PLAT-PEM"])
    assert next(t for t in naive.tests if t.code == "PDL1_IHC").level == "T1"


def test_an_uninformative_ctdna_is_not_repeated_at_once(run: Run) -> None:
    tests = {t.code for t in run(drivers="ctdna_negative_no_shedding", pdl1_tps=90).tests}
    assert "NGS_DNA_RNA" in tests
    assert "CTDNA_NGS" not in tests


def test_refusals_name_the_pathway_and_the_stage(run: Run) -> None:
    assert "PATHWAY_SCLC" in run(histology="sclc").flag_codes()
    assert "PATHWAY_MESOTHELIOMA" in run(histology="mesothelioma").flag_codes()
    wrong = run(stage="IIIA", t="T1a", n="N0", m="M0")
    (problem,) = [p for p in wrong.problems if p.code == "STAGE_INCONSISTENT"]
    assert problem.message.endswith("T, N and M give IA1")


def test_an_empty_list_with_ros1_before_surgery_is_explained(run: Run) -> None:
    guidance = run(drivers="ROS1:fusion", stage="IIIA", question="resectable_preop",
                   resectability="resectable", pdl1_tps=60)  # fmt: skip
    assert guidance.options == ()
    (flag,) = [f for f in guidance.flags if f.code == "DRIVER_CURATIVE_MDT"]
    assert "none is listed" in flag.meaning


def test_summaries_are_true_where_nothing_was_tested(run: Run) -> None:
    waiting = run(histology="squamous", drivers="all_unknown", smoking="current")
    (gate,) = [rule for rule in waiting.fired if rule.rule_id == "G-6"]
    assert "negative" not in gate.summary
    unfit = run(histology="squamous", drivers="all_unknown", smoking="current", ecog=3,
                pdl1_tps=80)  # fmt: skip
    (fitness,) = [rule for rule in unfit.fired if rule.rule_id == "E-5"]
    assert "measured" in fitness.summary


def test_a_serious_barrier_is_no_claim_of_the_headline(run: Run) -> None:
    headline = run(drivers="all_neg", pdl1_tps=80, transplant="solid_liver").headline
    assert headline == "A serious safety question is open; specialists decide; no ICI is ranked."


def test_a_targeted_pair_is_no_single_agent_at_ecog_3(run: Run) -> None:
    listed = run(drivers="EGFR:L858R", ecog=3).regimen_ids()
    assert "RX-AMI-LAZ" not in listed
    assert "RX-OSI" in listed
