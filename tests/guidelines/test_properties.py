"""Metamorphic properties of `guidelines.md` 6.3 on random cases.

500 cases each; ``IMMUNOPATH_PROPERTY_CASES=100000 pytest <this file>`` runs more.
"""

import os
from typing import Any

from guideline_support import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.domain.guidance import WITHOUT_OPTIONS, Category, Guidance
from immunopath.guidelines.check import run_inputs
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.vocabulary import DEFAULTS

CASES = settings(
    max_examples=int(os.environ.get("IMMUNOPATH_PROPERTY_CASES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
KB = load_knowledge()
GATE = KB.genes.gate
POSITIVE = (
    "EGFR:ex19del", "EGFR:ex20ins", "EGFR:L861Q", "EGFR:other", "ALK:fusion", "ROS1:fusion",
    "RET:fusion", "BRAF:V600E", "BRAF:non_V600", "MET:ex14", "MET:amplification", "NTRK2:fusion",
    "ERBB2:TKD_mutation", "KRAS:G12C", "KRAS:G12D", "NRG1:fusion", "STK11:pathogenic",
)  # fmt: skip
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
    "brain_mets": st.sampled_from(["none", "symptomatic", "asymptomatic_untreated", "not_imaged"]),
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
}
LATER = {
    "line": st.integers(2, 4),
    "prior_therapies": st.lists(
        st.sampled_from(["RX-PLAT-PEM", "RX-PEMBRO", "RX-PEMBRO-PEM-PLAT", "RX-OSI", "RX-ALEC",
                         "RX-SOTO", "RX-DOCE", "RX-PLAT-TAX"]), min_size=1, max_size=3, unique=True
    ),
}  # fmt: skip
CURATIVE = {
    "stage": st.sampled_from(["IA2", "IB", "IIA", "IIB", "IIIA", "IIIB", "IIIC"]),
    "resectability": st.sampled_from(["resectable", "borderline", "unresectable"]),
    "crt_status": st.sampled_from(["none", "ongoing_concurrent", "completed_concurrent"]),
    "progression_after_crt": st.booleans(),
    "adjuvant_chemo_done": st.sampled_from(["yes", "no", "planned"]),
    "tumour_size_cm": st.floats(1, 9),
}
DRIVERS = st.one_of(
    st.sampled_from(["all_neg", "all_neg", "all_unknown", "ctdna_negative_no_shedding"]),
    st.sampled_from(POSITIVE),
    st.lists(st.sampled_from(POSITIVE), min_size=2, max_size=2, unique=True).map("; ".join),
)


def _cases(drivers: st.SearchStrategy[str] = DRIVERS) -> st.SearchStrategy[dict[str, Any]]:
    required = {"histology": HISTOLOGY, "drivers": drivers, "pdl1_tps": TPS}
    tempo = {"tempo": st.sampled_from(["routine", "rapid", "crisis"])}
    return st.one_of(
        st.fixed_dictionaries(required, optional=COMMON | tempo),
        st.fixed_dictionaries(required | LATER, optional=COMMON | tempo),
        st.fixed_dictionaries(required | CURATIVE, optional=COMMON),
    )


def _run(inputs: dict[str, Any]) -> Guidance:
    return run_inputs(inputs, as_of=AS_OF)


def _ici(guidance: Guidance) -> set[str]:
    return {
        o.regimen_id for o in guidance.options if any("ICI" in KB.drug_classes[d] for d in o.drugs)
    }


@CASES
@given(_cases(), PREDICTED, PREDICTED)
def test_mp1_predictions_leave_category_and_regimens_identical(
    inputs: dict[str, Any], one: dict[str, Any], two: dict[str, Any]
) -> None:
    first, second = _run(inputs | {"pred": one}), _run(inputs | {"pred": two})
    assert first.category is second.category
    assert first.options == second.options
    assert first.conditional == second.conditional


@CASES
@given(_cases(st.just("all_neg")), st.sampled_from(GATE))
def test_mp2_forgetting_a_negative_gene_never_adds_a_regimen(
    inputs: dict[str, Any], gene: str
) -> None:
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
    plain = _ici(_run(inputs))
    assert _ici(_run(inputs | stop)) == set()
    assert plain <= _ici(_run(inputs | NONE))


@CASES
@given(_cases(st.one_of(st.just("all_neg"), DRIVERS)))
def test_mp4_squamous_never_lists_pemetrexed_or_bevacizumab(inputs: dict[str, Any]) -> None:
    guidance = _run(inputs | {"histology": "squamous"})
    assert not {"pemetrexed", "bevacizumab"} & set(guidance.named_drugs())


@CASES
@given(_cases(), st.floats(0, 100), st.floats(0, 100))
def test_mp5_category_steps_only_at_1_and_50(inputs: dict[str, Any], a: float, b: float) -> None:
    def stratum(value: float) -> int:
        return (value >= 1) + (value >= 50)

    one, two = _run(inputs | {"pdl1_tps": a}), _run(inputs | {"pdl1_tps": b})
    if stratum(a) == stratum(b):
        assert one.category is two.category
        assert one.regimen_ids() == two.regimen_ids()


@CASES
@given(_cases(st.just("all_neg")), st.sampled_from(["EGFR:ex19del", "ALK:fusion", "ROS1:fusion",
                                                    "RET:fusion", "NTRK1:fusion"]))  # fmt: skip
def test_mp6_an_actionable_driver_removes_every_ici_in_stage_iv(
    inputs: dict[str, Any], driver: str
) -> None:
    guidance = _run(inputs | {"drivers": driver})
    if guidance.category is not Category.MDT_CURATIVE_INTENT:
        assert _ici(guidance) == set()


@CASES
@given(_cases(), st.randoms(use_true_random=False))
def test_mp7_order_and_whitespace_do_not_change_a_byte(inputs: dict[str, Any], rnd: Any) -> None:
    items = list(inputs.items())
    rnd.shuffle(items)
    other = {k: f" {v} " if isinstance(v, str) and k != "pred" else v for k, v in items}
    if "prior_therapies" in other:
        other["prior_therapies"] = list(reversed(other["prior_therapies"]))
    assert _run(inputs).model_dump_json() == _run(other).model_dump_json()


@CASES
@given(_cases())
def test_mp8_everything_listed_resolves(inputs: dict[str, Any]) -> None:
    guidance = _run(inputs)
    assert set(guidance.regimen_ids()) <= set(KB.regimens)
    assert set(guidance.named_drugs()) <= set(KB.drug_classes)
    for rule in guidance.fired:
        assert rule.references
        assert set(rule.references) <= set(KB.references)


@CASES
@given(_cases())
def test_mp9_no_regimen_without_ground(inputs: dict[str, Any]) -> None:
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
    guidance = _run(inputs | {"pred": predicted})
    assert guidance.flag_codes() <= set(KB.flags)
    assert {test.code for test in guidance.tests} <= set(KB.tests)


@CASES
@given(_cases())
def test_no_label_limit_of_pdl1_is_crossed(inputs: dict[str, Any]) -> None:
    """A regimen with a PD-L1 floor is listed only in a stratum that is known to meet it."""
    guidance = _run(inputs)
    stratum = guidance.measured.get("tps_stratum")
    floor = {"low": 1, "high": 50}.get(stratum or "", 0)
    for option in guidance.options:
        assert KB.regimens[option.regimen_id].tps_min <= floor


def test_the_defaults_cover_what_the_strategies_leave_out() -> None:
    assert {"stage", "line", "ecog", "transplant"} <= set(DEFAULTS)
