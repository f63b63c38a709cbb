from collections.abc import Callable, Iterable, Iterator

from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Category, ConditionalBranch, Guidance
from immunopath.guidelines.engine import evaluate

Run = Callable[..., Guidance]


def leaves(branches: Iterable[ConditionalBranch]) -> Iterator[ConditionalBranch]:
    for branch in branches:
        if branch.branches:
            yield from leaves(branch.branches)
        else:
            yield branch


def test_the_tree_by_tps_shows_what_each_stratum_gives(run: Run) -> None:
    guidance = run(pdl1_tps="not_done")
    assert guidance.options == ()
    assert [b.condition for b in guidance.conditional] == ["TPS >= 50 %", "TPS 1-49 %", "TPS < 1 %"]
    for branch, tps in zip(guidance.conditional, (80, 20, 0), strict=True):
        measured = run(pdl1_tps=tps)
        assert branch.category is measured.category
        assert [o.regimen_id for o in branch.options] == list(measured.regimen_ids())


def test_the_tree_by_driver_nests_the_strata(run: Run) -> None:
    guidance = run(drivers="all_unknown")
    by_name = {b.condition: b for b in guidance.conditional}
    assert [o.regimen_id for o in by_name["RET fusion"].options] == ["RX-SELPER", "RX-PRALS"]
    negative = by_name["all gate genes negative"]
    assert negative.category is None
    assert len(negative.branches) == 3


def test_squamous_is_not_asked_for_the_target_of_another_histology(run: Run) -> None:
    conditions = {b.condition for b in run(histology="squamous", drivers="all_unknown",
                                           smoking="never").conditional}  # fmt: skip
    assert "ALK fusion" in conditions
    assert "ERBB2 kinase-domain mutation" not in conditions


def test_an_image_alone_still_shows_the_whole_tree() -> None:
    guidance = evaluate(ClinicalContext(), as_of=AS_OF)
    found = list(leaves(guidance.conditional))
    assert any(leaf.category is Category.ICI_MONO_OPTIONS for leaf in found)
    assert any(leaf.category is Category.DRIVER_DIRECTED for leaf in found)
    assert all(leaf.options or leaf.note or leaf.category for leaf in found)
    drugs = guidance.conditional_drugs()
    assert "osimertinib" in drugs
    assert guidance.option_drugs() == ()


def test_a_barrier_holds_in_every_branch(run: Run) -> None:
    guidance = run(pdl1_tps="not_done", transplant="solid_kidney")
    assert guidance.category is Category.TEST_FIRST
    for leaf in leaves(guidance.conditional):
        assert leaf.category is Category.MDT_SAFETY_REVIEW
        assert not {"pembrolizumab", "nivolumab"} & {d for o in leaf.options for d in o.drugs}


def test_rejected_and_refused_cases_have_no_tree(run: Run) -> None:
    assert run(pdl1_tps=150).conditional == ()
    assert run(histology="sclc", pdl1_tps="not_done").conditional == ()


def test_what_would_change_names_what_opens_and_closes(run: Run) -> None:
    rows = run(pdl1_tps=80, transplant="unknown").what_would_change
    kidney = next(row for row in rows if row.if_result == "kidney")
    assert kidney.category is Category.MDT_SAFETY_REVIEW
    assert "RX-PEMBRO" in kidney.closes
    assert "RX-PLAT-PEM" in kidney.opens


def test_what_would_change_shows_missing_drivers_while_options_stand(run: Run) -> None:
    rows = run(histology="squamous", drivers="all_unknown", pdl1_tps=80).what_would_change
    alk = next(row for row in rows if row.if_result == "ALK fusion")
    assert alk.category is Category.DRIVER_DIRECTED
    assert "RX-PEMBRO" in alk.closes
    assert "RX-ALEC" in alk.opens


def test_a_known_value_is_not_asked_again(run: Run) -> None:
    assert all(row.question != "PD-L1 TPS" for row in run(pdl1_tps=20).what_would_change)


def test_a_bridge_shows_what_the_drivers_will_decide(run: Run) -> None:
    guidance = run(drivers="all_unknown", pdl1_tps=80, tempo="crisis")
    assert guidance.category is Category.BRIDGE_CHEMO_PENDING_TESTS
    by_name = {b.condition: b for b in guidance.conditional}
    assert by_name["ALK fusion"].category is Category.DRIVER_DIRECTED
    negative = by_name["all gate genes negative"]
    assert "RX-PEMBRO" in {o.regimen_id for o in negative.options}
    assert not {"pembrolizumab"} & set(guidance.option_drugs())


def test_what_is_measured_negative_is_no_branch(run: Run) -> None:
    conditions = {b.condition for b in run(drivers="ALK:unknown", pdl1_tps=80).conditional}
    assert conditions == {"ALK fusion", "all gate genes negative"}


def test_a_stated_m0_leaves_no_branch_of_stage_iv() -> None:
    context = ClinicalContext.model_validate(
        {"histology": "adenocarcinoma", "staging_system": "AJCC8", "m": "M0"}
    )
    found = evaluate(context, as_of=AS_OF).conditional
    assert [b.condition for b in found] == ["stage II or III", "stage I"]


def test_an_unstated_history_shows_what_it_would_open(run: Run) -> None:
    context = ClinicalContext.model_validate(
        {"histology": "squamous", "stage_group": "IVB", "line": 2, "smoking_status": "current",
         "age_years": 70, "ecog": 1}
    )  # fmt: skip
    guidance = evaluate(context, as_of=AS_OF)
    assert guidance.category is Category.TEST_FIRST
    found = {b.condition: {o.regimen_id for o in b.options} for b in leaves(guidance.conditional)}
    assert {"RX-NIVO-2L", "RX-ATEZO-2L"} <= found["platinum, no ICI"]
    assert "RX-DOCE" in found["platinum and ICI, together or one after the other"]
    assert "RX-PLAT-TAX" in found["ICI alone"]


def test_missing_values_of_a_later_line_name_what_they_open(run: Run) -> None:
    rows = run(line=2, prior_therapies=["RX-PLAT-PEM"], pdl1_tps=0).what_would_change
    opened = {(row.question, row.if_result): row.opens for row in rows}
    assert "RX-TDXD-IHC3" in opened["HER2 IHC", "3+"]
    assert "RX-TELISO" in opened["MET IHC", "3+ in 50 % of cells or more"]
    assert "RX-ZENO" in opened["NRG1", "fusion"]
    assert "RX-PEMBRO-TMBH" in opened["TMB by the labelled tissue test", "10 or more"]


def test_missing_values_that_bear_on_nothing_are_not_asked(run: Run) -> None:
    asked = {row.question for row in run(drivers="ALK:fusion", pdl1_tps=20).what_would_change}
    assert not asked & {"Organ or stem-cell transplant", "Creatinine clearance", "HER2 IHC"}
