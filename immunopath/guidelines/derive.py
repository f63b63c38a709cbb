"""Facts that follow from other facts; recomputed under each hypothesis of the tree."""

from collections.abc import Mapping
from typing import Any

from immunopath.domain.errors import KnowledgeError
from immunopath.domain.molecular import NEGATIVE
from immunopath.guidelines.facts_molecular import DRIVER_READS, driver_facts
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value

_TESTING_NONSQUAMOUS = frozenset(
    {"adenocarcinoma", "adenosquamous", "large_cell", "nsclc_nos", "sarcomatoid"}
)
_MIXED = frozenset({"adenosquamous", "nsclc_nos"})
_CLASSES = {
    "0": "local", "IA1": "local", "IA2": "local", "IA3": "local", "IB": "IB",
    "IIA": "II", "IIB": "II", "IIIA": "III", "IIIB": "III", "IIIC": "III",
    "IV": "IV", "IVA": "IV", "IVB": "IV", "recurrent_unresectable": "IV",
}  # fmt: skip


DERIVED_FROM = frozenset(
    {*DRIVER_READS, "histology", "tps_stratum", "ecog", "last_ici_days", "prior_ici", "stage",
     "crt_status", "progression_after_crt", "age", "smoking", "small_biopsy_without_p40", "ild",
     "tumour_size", "n", "t", "staging_system"}
)  # fmt: skip
"""Every base fact that `derive` reads."""


def derive(kb: Knowledge, base: Mapping[str, Value]) -> dict[str, Value]:
    """Return `base` with all derived facts."""
    facts = dict(base)
    key = tuple(map(base.get, DRIVER_READS))
    facts |= kb.memos.drivers.get(key, driver_facts, base, kb.genes)
    histology = base.get("histology")
    group = "squamous" if histology == "squamous" else None
    if histology in _TESTING_NONSQUAMOUS:
        group = "nonsquamous"
    facts["histology_group"] = group
    facts["mixed"] = None if histology is None else histology in _MIXED
    facts["mixed_flag"] = (
        None
        if histology is None
        else histology in _TESTING_NONSQUAMOUS and histology != "adenocarcinoma"
    )
    facts["tps_known"] = base.get("tps_stratum") is not None
    ecog = base.get("ecog")
    facts["ecog_le_1"] = ecog <= 1 if isinstance(ecog, int) else None
    facts |= _stage_facts(facts)
    facts |= _suspicion(facts)
    facts |= _consolidation(facts)
    facts |= _surgical(facts)
    days = base.get("last_ici_days")
    recent = days is None or (isinstance(days, int) and days <= 92)
    facts["ici_recent_or_undated"] = base.get("prior_ici") is True and recent
    return facts


def _stage_facts(facts: Mapping[str, Value]) -> dict[str, Value]:
    stage = facts.get("stage")
    stage_class = None if stage is None else _CLASSES[str(stage)]
    status = facts.get("crt_status")
    done = None if status is None else str(status).startswith("completed")
    progressed = done is True and facts.get("progression_after_crt") is True
    advanced = True if progressed else (None if stage_class is None else stage_class == "IV")
    return {"stage_class": stage_class, "crt_done": done, "advanced": advanced}


def _suspicion(facts: Mapping[str, Value]) -> dict[str, Value]:
    """1.4: squamous blocks only when suspicion is high; what nobody said cannot lower it."""
    age, smoking = facts.get("age"), facts.get("smoking")
    low = (
        smoking in {"former", "current"}
        and isinstance(age, int)
        and age >= 50
        and facts.get("small_biopsy_without_p40") is not True
    )
    complete = facts["gate_complete"] is True
    nonsquamous = facts["histology_group"] == "nonsquamous"
    clear = facts["actionable"] is not True and (complete or (not nonsquamous and low))
    return {
        "suspicion_low": low,
        "gate_blocks": not complete and (nonsquamous or not low),
        "ici_driver_clear": clear and facts["histology_group"] is not None,
    }


def _consolidation(facts: Mapping[str, Value]) -> dict[str, Value]:
    """Conditions shared by U3-6 to U3-9."""
    others = any(
        facts[f"driver_{name}"] is True
        for name in ("ALK", "ROS1", "RET", "NTRK", "EGFR_EX20INS", "EGFR_UNCOMMON", "EGFR_T790M")
    ) or (facts["driver_EGFR_ANY"] is True and facts["driver_EGFR_COMMON"] is False)
    squamous_low = facts["histology_group"] == "squamous" and facts["suspicion_low"] is True
    negative = facts["egfr_alk_negative"] is True or (
        facts["egfr_alk_known"] is False and squamous_low
    )
    ecog = facts.get("ecog")
    clear = (
        facts.get("progression_after_crt") is False
        and negative
        and not others
        and (ecog is None or (isinstance(ecog, int) and ecog <= 1))
        and facts.get("ild") in {"none", "ILA_mild", "ild_stable", "radiation_pneumonitis_g1"}
    )
    return {
        "consolidation_clear": clear,
        "consolidation_other_driver": others,
        "consolidation_gate_blocks": facts["egfr_alk_known"] is False and not squamous_low,
    }


def _surgical(facts: Mapping[str, Value]) -> dict[str, Value]:
    size, stage, n = facts.get("tumour_size"), facts.get("stage"), facts.get("n")
    large = size >= 4 if isinstance(size, int | float) else None
    node = None if n in {None, "NX"} else n != "N0"
    stage_class = facts["stage_class"]
    eligible: bool | None = stage_class in {"II", "III"}
    if stage_class == "IB":
        eligible = large
    if stage == "IIIC" or n == "N3":
        eligible = False
    # IIIA of AJCC 7 is T1-3 N2 and T4 N0-1; AJCC 8 and 9 call part of it IIIB (Rami-Porta 2024).
    moved = str(facts.get("t"))[:2] in {"T1", "T2", "T3"} and n in {"N2", "N2a", "N2b"}
    seven = stage in {"IB", "IIA", "IIB", "IIIA"} or (stage == "IIIB" and moved)
    return {
        "perioperative_eligible": eligible,
        "ajcc7_adjuvant": seven,
        "ajcc7_adjuvant_ii_iiia": seven and stage != "IB",
        "adjuvant_size_or_node": True
        if stage_class in {"II", "III"} or large or node
        else (None if large is None else False),
        "edition_note": facts.get("staging_system") in {"AJCC8", "AJCC9"},
    }


def assume(
    kb: Knowledge,
    base: Mapping[str, Value],
    changes: Mapping[str, Any],
    *,
    known: Mapping[str, Value] | None = None,
) -> dict[str, Value]:
    """Return base facts under a hypothesis; raises `KnowledgeError` for an unknown fact.

    `known` holds the facts that exist, when `base` does not show them.
    """
    facts = dict(base)
    for name, value in changes.items():
        if name == "all_gate":
            for gene in kb.genes.gate:
                if facts.get(f"gene_{gene}") is None:
                    facts[f"gene_{gene}"] = NEGATIVE
        elif name in (facts if known is None else known):
            facts[name] = assumed(name, value)
        else:
            raise KnowledgeError(f"a question sets the unknown fact {name!r}")
    return facts


def assumed(name: str, value: Value | list[str]) -> Value:
    """Return the value of a fact under a hypothesis: alterations and lists are sets."""
    if isinstance(value, list):
        return frozenset(value)
    return frozenset({str(value)}) if name.startswith("gene_") and value != NEGATIVE else value
