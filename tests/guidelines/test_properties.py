"""Metamorphic properties of `guidelines.md` 6.3 on random cases.

Every run draws more than 10 000 cases over all properties; ``IMMUNOPATH_PROPERTY_CASES=7000 pytest
<this file>`` draws more than 100 000. The last test writes how many were drawn.
"""

import os
import sys
from collections import Counter
from typing import Any

import pytest
from guideline_support import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import WITHOUT_OPTIONS, Category, Guidance
from immunopath.guidelines.check import run_inputs
from immunopath.guidelines.decide import decide, early_reads, refilter
from immunopath.guidelines.derive import assume
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.facts import base_facts
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.pdl1 import Pdl1Reading, read_pdl1
from immunopath.guidelines.vocabulary import DEFAULTS, KEYS, parse_inputs

EACH = int(os.environ.get("IMMUNOPATH_PROPERTY_CASES", "700"))
PROPERTIES = 15
DRAWN: Counter[str] = Counter()
"""Cases drawn by property in this process."""
CASES = settings(
    max_examples=EACH,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
KB = load_knowledge()
GATE = KB.genes.gate
POSITIVE = (
    "EGFR:ex19del", "EGFR:L858R", "EGFR:ex20ins", "EGFR:G719X", "EGFR:S768I", "EGFR:L861Q",
    "EGFR:T790M", "EGFR:C797S", "EGFR:other", "ALK:fusion", "ROS1:fusion",
    "RET:fusion", "BRAF:V600E", "BRAF:non_V600", "MET:ex14", "MET:amplification", "NTRK1:fusion",
    "NTRK2:fusion", "NTRK3:fusion", "ERBB2:TKD_mutation", "ERBB2:amplification", "KRAS:G12C",
    "KRAS:G12D", "NRG1:fusion", "STK11:pathogenic", "KEAP1:pathogenic", "SMARCA4:deficient",
)  # fmt: skip
NEVER_ICI = tuple(p for p in POSITIVE if p.split(":")[0] in {"EGFR", "ALK", "ROS1", "RET"}
                  or p.startswith("NTRK"))  # fmt: skip
ALTERNATIVE_ICI = ("BRAF:V600E", "MET:ex14", "ERBB2:TKD_mutation")
"""DR-7, DR-8, DR-11: the only drivers that may leave ICI, as an alternative."""
STOPS: tuple[dict[str, Any], ...] = (
    {"transplant": "solid_kidney"}, {"transplant": "solid_heart"}, {"transplant": "allo_hsct"},
    {"autoimmune": "myasthenia_active"},
)  # fmt: skip
NONE = {"transplant": "none", "autoimmune": "none", "ild": "none", "prednisone_mg": 0}

HISTOLOGY = st.sampled_from(
    ["adenocarcinoma", "squamous", "adenosquamous", "nsclc_nos", "large_cell"]
)
TPS = st.one_of(
    st.integers(0, 100), st.sampled_from(["<1", "1-49", ">=50", "not_done", "failed", "40-60"])
)
PREDICTED = st.fixed_dictionaries(
    {},
    optional={
        "cd274": st.sampled_from(["high", "low"]),
        "msi": st.sampled_from(["MSI-H", "MSS"]),
        "tme": st.sampled_from(["IE", "IE/F", "F", "D"]),
        "phenotype": st.sampled_from(["inflamed", "excluded", "desert"]),
        "til_fraction": st.floats(0, 1),
        "informative": st.booleans(),
    },
)
COMMON = {
    "ecog": st.integers(0, 4),
    "age": st.integers(18, 95),
    "smoking": st.sampled_from(["never", "light", "former", "current"]),
    "msi": st.sampled_from(["MSI-H", "MSS", "not_done"]),
    "mmr": st.sampled_from(["pMMR", "dMMR"]),
    "tmb": st.floats(0, 60),
    "ild": st.sampled_from(["none", "ild_active", "radiation_pneumonitis_g2plus"]),
    "prednisone_mg": st.integers(0, 60),
    "transplant": st.sampled_from(["none", "solid_kidney", "solid_liver", "allo_hsct"]),
    "autoimmune": st.sampled_from(["none", "vitiligo", "rheumatoid_active", "myasthenia_active"]),
    "crcl_ml_min": st.floats(10, 140),
    "pdl1_assay": st.sampled_from(["22C3", "SP142", "28-8"]),
    "neuropathy_grade": st.integers(0, 4),
    "hearing_loss": st.booleans(),
    "haemoptysis": st.booleans(),
    "bilirubin_x_uln": st.floats(0.5, 3),
    "lvef_pct": st.floats(30, 70),
    "qtc_ms": st.floats(380, 540),
    "her2_ihc": st.integers(0, 3),
    "met_ihc_3plus_pct": st.floats(0, 100),
    "allergies": st.lists(st.sampled_from(["Keytruda", "carboplatin", "nuts"]), max_size=2),
    "specimen_type": st.sampled_from(["core", "resection", "fna_cellblock"]),
    "tumour_cellularity_pct": st.floats(5, 90),
}
ADVANCED = {
    "brain_mets": st.sampled_from(["none", "symptomatic", "asymptomatic_untreated", "not_imaged"]),
    "tempo": st.sampled_from(["routine", "rapid", "crisis"]),
    "metastatic_sites": st.lists(st.sampled_from(["liver", "bone", "node"]), max_size=2),
    "last_ici_days": st.integers(1, 900),
}
LATER = {
    "line": st.integers(2, 4),
    "prior_therapies": st.lists(
        st.sampled_from(["RX-PLAT-PEM", "RX-PEMBRO", "RX-PEMBRO-PEM-PLAT", "RX-OSI", "RX-ALEC",
                         "RX-SOTO", "RX-DOCE", "RX-PLAT-TAX", "RX-AFATINIB", "RX-CAPMA",
                         "RX-DAB-TRAM", "RX-ZONG", "RX-SELPER", "RX-LARO"]),
        min_size=1, max_size=3, unique=True,
    ),
}  # fmt: skip
CURATIVE = {
    "stage": st.sampled_from(["IA2", "IB", "IIA", "IIB", "IIIA", "IIIB", "IIIC"]),
    "resectability": st.sampled_from(["resectable", "borderline", "unresectable"]),
    "crt_status": st.sampled_from(["none", "ongoing_concurrent", "completed_concurrent",
                                   "completed_sequential"]),
    "progression_after_crt": st.just(False),
    "adjuvant_chemo_done": st.sampled_from(["yes", "no", "planned"]),
    "tumour_size_cm": st.floats(1, 9),
}  # fmt: skip
OPERATED = {
    "question": st.just("post_resection"),
    "margin": st.sampled_from(["R0", "R0", "R1"]),
    "stage": st.sampled_from(["IA2", "IB", "IIA", "IIB", "IIIA", "IIIB"]),
    "adjuvant_chemo_done": st.sampled_from(["yes", "no", "planned", "not_fit"]),
    "tumour_size_cm": st.floats(1, 9),
}
DRIVERS = st.one_of(
    st.sampled_from(["all_neg", "all_neg", "all_unknown", "ctdna_negative_no_shedding"]),
    st.sampled_from(POSITIVE),
    st.lists(st.sampled_from(POSITIVE), min_size=2, max_size=2, unique=True).map("; ".join),
)


def _cases(drivers: st.SearchStrategy[str] = DRIVERS) -> st.SearchStrategy[dict[str, Any]]:
    required = {"histology": HISTOLOGY, "drivers": drivers, "pdl1_tps": TPS}
    return st.one_of(
        st.fixed_dictionaries(required, optional=COMMON | ADVANCED),
        st.fixed_dictionaries(required | LATER, optional=COMMON | ADVANCED),
        st.fixed_dictionaries(required | CURATIVE, optional=COMMON),
        st.fixed_dictionaries(required | OPERATED, optional=COMMON),
    )


def _run(inputs: dict[str, Any]) -> Guidance:
    return run_inputs(inputs, as_of=AS_OF)


def _classes(drugs: tuple[str, ...]) -> set[str]:
    return {token for drug in drugs for token in KB.drug_classes[drug]}


def _ici(guidance: Guidance) -> set[str]:
    return {
        o.regimen_id for o in guidance.options if any("ICI" in KB.drug_classes[d] for d in o.drugs)
    }


@CASES
@given(_cases(), PREDICTED, PREDICTED)
def test_mp1_predictions_leave_category_and_regimens_identical(
    inputs: dict[str, Any], one: dict[str, Any], two: dict[str, Any]
) -> None:
    DRAWN["MP-1"] += 1
    first, second = _run(inputs | {"pred": one}), _run(inputs | {"pred": two})
    assert first.category is second.category
    assert first.options == second.options
    assert first.conditional == second.conditional


@CASES
@given(_cases(st.just("all_neg")), st.sampled_from(GATE))
def test_mp2_forgetting_a_negative_gene_never_adds_a_regimen(
    inputs: dict[str, Any], gene: str
) -> None:
    DRAWN["MP-2"] += 1
    inputs = inputs | {"tempo": "routine"}
    known, less = _run(inputs), _run(inputs | {"drivers": f"{gene}:unknown"})
    assert set(less.regimen_ids()) <= set(known.regimen_ids())
    stage = inputs.get("stage", "IVB")
    if inputs["histology"] != "squamous" and stage == "IVB":
        assert _ici(less) == set()


@CASES
@given(_cases(), st.sampled_from(STOPS))
def test_mp3_a_barrier_never_adds_an_ici_and_lifting_all_never_removes_one(
    inputs: dict[str, Any], stop: dict[str, Any]
) -> None:
    DRAWN["MP-3"] += 1
    plain = _ici(_run(inputs))
    assert _ici(_run(inputs | stop)) == set()
    assert plain <= _ici(_run(inputs | NONE))


@CASES
@given(_cases(st.one_of(st.just("all_neg"), DRIVERS)))
def test_mp4_squamous_never_lists_pemetrexed_or_bevacizumab(inputs: dict[str, Any]) -> None:
    DRAWN["MP-4"] += 1
    guidance = _run(inputs | {"histology": "squamous"})
    assert not {"pemetrexed", "bevacizumab"} & set(guidance.named_drugs())


@CASES
@given(_cases(), st.floats(0, 100), st.floats(0, 100))
def test_mp5_category_steps_only_at_1_and_50(inputs: dict[str, Any], a: float, b: float) -> None:
    DRAWN["MP-5"] += 1

    def stratum(value: float) -> int:
        return (value >= 1) + (value >= 50)

    one, two = _run(inputs | {"pdl1_tps": a}), _run(inputs | {"pdl1_tps": b})
    if stratum(a) == stratum(b):
        assert one.category is two.category
        assert one.regimen_ids() == two.regimen_ids()


@CASES
@given(_cases(st.just("all_neg")), st.sampled_from(NEVER_ICI))
def test_mp6_an_actionable_driver_removes_every_ici(inputs: dict[str, Any], driver: str) -> None:
    """In every line and in curative intent as well."""
    DRAWN["MP-6"] += 1
    assert _ici(_run(inputs | {"drivers": driver})) == set()


@CASES
@given(_cases(st.just("all_neg")), st.sampled_from(ALTERNATIVE_ICI))
def test_mp6_three_drivers_leave_ici_only_behind_the_target(
    inputs: dict[str, Any], driver: str
) -> None:
    DRAWN["MP-6 exceptions"] += 1
    guidance = _run(inputs | {"drivers": driver})
    target = [o for o in guidance.options if "TARGETED" in _classes(o.drugs)]
    actionable = not (driver.startswith("ERBB2") and inputs["histology"] == "squamous")
    if guidance.category is Category.DRIVER_DIRECTED:
        assert actionable
        assert target[0].rank == 1
        assert all(o.rank > 1 for o in guidance.options if o.regimen_id in _ici(guidance))
    elif actionable and inputs.get("stage") is None and not _braf_pair_used(inputs, driver):
        assert _ici(guidance) == set()


def _braf_pair_used(inputs: dict[str, Any], driver: str) -> bool:
    """After a BRAF pair DR-7 names chemotherapy with ICI by PD-L1: no second pair is listed."""
    given = set(inputs.get("prior_therapies", ()))
    return driver.startswith("BRAF") and bool(given & {"RX-DAB-TRAM", "RX-ENCO-BINI"})


@CASES
@given(_cases(), st.randoms(use_true_random=False))
def test_mp7_order_and_whitespace_do_not_change_a_byte(inputs: dict[str, Any], rnd: Any) -> None:
    DRAWN["MP-7"] += 1
    items = list(inputs.items())
    rnd.shuffle(items)
    other = {k: f" {v} " if isinstance(v, str) and k != "pred" else v for k, v in items}
    if "prior_therapies" in other:
        other["prior_therapies"] = list(reversed(other["prior_therapies"]))
    assert _run(inputs).model_dump_json() == _run(other).model_dump_json()


@CASES
@given(_cases())
def test_mp8_everything_listed_resolves(inputs: dict[str, Any]) -> None:
    DRAWN["MP-8"] += 1
    guidance = _run(inputs)
    assert set(guidance.regimen_ids()) <= set(KB.regimens)
    assert set(guidance.named_drugs()) <= set(KB.drug_classes)
    for rule in guidance.fired:
        assert rule.references
        assert set(rule.references) <= set(KB.references)


@CASES
@given(_cases())
def test_mp9_no_regimen_without_ground(inputs: dict[str, Any]) -> None:
    DRAWN["MP-9"] += 1
    guidance = _run(inputs)
    if guidance.category in WITHOUT_OPTIONS:
        assert guidance.options == ()
    if guidance.category in {Category.REJECT_INVALID_INPUT, Category.REFUSE_OUT_OF_SCOPE}:
        assert guidance.conditional == ()


@CASES
@given(_cases(), PREDICTED)
def test_mp12_every_code_is_in_the_vocabulary(
    inputs: dict[str, Any], predicted: dict[str, Any]
) -> None:
    DRAWN["MP-12"] += 1
    guidance = _run(inputs | {"pred": predicted})
    assert guidance.flag_codes() <= set(KB.flags)
    assert {test.code for test in guidance.tests} <= set(KB.tests)


@CASES
@given(_cases())
def test_no_label_limit_of_pdl1_is_crossed(inputs: dict[str, Any]) -> None:
    """A regimen with a PD-L1 floor is listed only in a stratum that is known to meet it."""
    DRAWN["labels"] += 1
    guidance = _run(inputs)
    stratum = guidance.measured.get("tps_stratum")
    floor = {"low": 1, "high": 50}.get(stratum or "", 0)
    for option in guidance.options:
        assert KB.regimens[option.regimen_id].tps_min <= floor


@CASES
@given(_cases(), st.booleans())
def test_listing_only_says_the_same_as_the_whole_decision(
    inputs: dict[str, Any], forget: bool
) -> None:
    """'What would change' leaves out tables; neither that nor any memory changes an answer."""
    DRAWN["listing"] += 1
    context, pdl1 = _read(inputs)
    remembered = evaluate(context, as_of=AS_OF)
    base = base_facts(KB, context, pdl1, AS_OF)
    whole = decide(KB, base)
    if forget:
        KB.forget()
        assert evaluate(context, as_of=AS_OF).model_dump_json() == remembered.model_dump_json()
    short = decide(KB, base, listing_only=True)
    assert (short.category, short.regimen_ids) == (whole.category, whole.regimen_ids)
    assert decide(KB, base).options == whole.options
    for item in KB.questions.what_if:
        changes = item.results[0].set
        if whole.before_filters is not None and not early_reads(KB) & changes.keys():
            late = refilter(whole.before_filters, assume(KB, {}, changes, known=base))
            again = decide(KB, assume(KB, base, changes))
            assert (late.category, late.regimen_ids) == (again.category, again.regimen_ids)


def _read(inputs: dict[str, Any]) -> tuple[ClinicalContext, Pdl1Reading]:
    context = parse_inputs(inputs, defaults=True)
    return context, read_pdl1(KB, context, AS_OF)


@CASES
@given(_cases(st.sampled_from(["all_unknown", "EGFR:unknown", "all_neg"])), PREDICTED)
def test_the_tree_is_whole_whatever_is_predicted(
    inputs: dict[str, Any], predicted: dict[str, Any]
) -> None:
    """Only what was measured leaves a branch out, and no branch is an option of the case."""
    DRAWN["tree"] += 1
    guidance = _run(inputs | {"pred": predicted})
    assert guidance.conditional == _run(inputs).conditional
    asked = [branch for branch in guidance.conditional if branch.question.startswith("Driver")]
    if asked and inputs["drivers"] == "all_unknown":
        question = next(q for q in KB.questions.questions if q.id == "drivers")
        hidden = 1  # the HER2 branch of the other histology
        assert len(asked) == len(question.branches) - hidden
        assert sum("ERBB2" in branch.condition for branch in asked) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200) | st.floats() | st.text(max_size=12)
    | st.sampled_from(["none", "yes", "unknown", "EGFR:L858R", "all_neg", "squamous", "IVB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner,
                                                                max_size=2),
    max_leaves=4,
)  # fmt: skip


@CASES
@given(st.dictionaries(st.sampled_from(sorted(KEYS - {"pred"})), VALUES, max_size=6))
def test_any_value_is_taken_refused_or_rejected_with_its_field(inputs: dict[str, Any]) -> None:
    DRAWN["input"] += 1
    context = parse_inputs(inputs, defaults=True)
    guidance = evaluate(context, as_of=AS_OF)
    if context.problems:
        assert guidance.category is Category.REJECT_INVALID_INPUT
        assert guidance.problems
        assert all(problem.field and problem.message for problem in guidance.problems)
    if guidance.category is Category.REJECT_INVALID_INPUT:
        assert guidance.options == guidance.conditional == guidance.tests == ()


def test_the_defaults_cover_what_the_strategies_leave_out() -> None:
    assert {"stage", "line", "ecog", "transplant"} <= set(DEFAULTS)


def test_more_than_ten_thousand_cases_were_drawn(
    record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs last; with the file split over workers, or a selection, it only reports."""
    total = sum(DRAWN.values())
    record_property("property_cases", total)
    with capsys.disabled():
        sys.stdout.write(f"\n{total:,} property cases: {dict(sorted(DRAWN.items()))}\n")
    if len(DRAWN) == PROPERTIES:
        assert total >= min(10_000, EACH * PROPERTIES)
