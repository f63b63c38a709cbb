"""The clinical context to base facts: flat, named, None where nobody said."""

from datetime import date

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import SpecimenRef
from immunopath.guidelines.facts_history import history_facts
from immunopath.guidelines.facts_molecular import gene_facts
from immunopath.guidelines.facts_safety import known, safety_facts
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.pdl1 import Pdl1Reading, read_pdl1
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.staging import possible_groups, stage_problem


def empty_case(kb: Knowledge) -> dict[str, Value]:
    """Return the facts of a case of which nothing is stated, on the day of the knowledge."""
    context, day = ClinicalContext(), kb.manifest.knowledge_date
    return base_facts(kb, context, read_pdl1(kb, context, day), day)


def base_facts(
    kb: Knowledge, context: ClinicalContext, pdl1: Pdl1Reading, as_of: date
) -> dict[str, Value]:
    """Return all facts that are stated, not derived from one another."""
    facts: dict[str, Value] = {}
    for part in (
        _person(context),
        _disease(kb, context, as_of),
        history_facts(kb, context, as_of),
        safety_facts(kb, context),
        _markers(context),
        gene_facts(context, kb.genes),
    ):
        facts |= part
    problems = (*context.problems, *pdl1.problems)
    facts["prediction_in_measured_slot"] = any(
        p.code == "PREDICTION_IN_MEASURED_SLOT" for p in problems
    )
    facts["input_problem"] = any(p.code != "PREDICTION_IN_MEASURED_SLOT" for p in problems)
    facts["tps_stratum"] = pdl1.stratum
    facts["tps_status"] = pdl1.status
    facts["pdl1_assay"] = None if pdl1.assay == "unknown" else pdl1.assay
    facts["scant"] = is_scant(context.specimen)
    return facts


def _person(context: ClinicalContext) -> dict[str, Value]:
    age = context.age_years
    fertile = context.sex_at_birth in {"female", "intersex"} and (age is None or age <= 55)
    return {
        "age": age,
        "pregnancy": known(context.pregnancy_or_lactation),
        "childbearing_unknown": fertile and context.pregnancy_or_lactation == "unknown",
        "smoking": known(context.smoking_status),
        "jurisdiction": context.jurisdiction,
        "ecog": context.ecog,
        "ecog_cause": known(context.ecog_cause),
        "tempo": known(context.tumour_tempo),
        "emergency": bool(context.emergency),
        "weight": context.weight_kg,
    }


def _disease(kb: Knowledge, context: ClinicalContext, as_of: date) -> dict[str, Value]:
    evidence = context.histology_evidence
    crt_end = context.crt_end_date
    operated = context.surgery.done if context.surgery else None
    if context.question == "post_resection":
        operated = True
    return {
        "histology": known(context.histology),
        "histology_ihc": bool(set(evidence) - {"morphology_only"}) if evidence else False,
        "small_biopsy_without_p40": is_small(context.specimen) and "p40" not in evidence,
        "primary_site": known(context.primary_site),
        "question": context.question,
        "stage": _stage(kb, context),
        "stage_inconsistent": stage_problem(context, kb.staging),
        "staging_system": context.staging_system,
        "t": context.t,
        "n": context.n,
        "m": context.m,
        "tumour_size": context.tumour_size_cm,
        "resectability": _resectability(context),
        "crt_status": known(context.crt_status),
        "progression_after_crt": context.progression_after_crt,
        "crt_end_days": None if crt_end is None else (as_of - crt_end).days,
        "operated": False if operated is None and context.question is not None else operated,
        "margin": context.surgery.margin if context.surgery else None,
        "adjuvant_chemo": known(context.adjuvant_chemo_done),
        "brain_mets": known(context.brain_mets),
        "metastatic_sites": None
        if context.metastatic_sites is None
        else frozenset(context.metastatic_sites),
        "oligometastatic": context.oligometastatic,
    }


def is_small(specimen: SpecimenRef | None) -> bool:
    """Return True for a needle or cytology specimen."""
    return specimen is not None and specimen.type in {"core", "fna_cellblock", "cytology", "fluid"}


def is_scant(specimen: SpecimenRef | None) -> bool:
    """Return True where tissue is at risk (3.3): a small specimen, or 20-30 % tumour cells."""
    share = specimen.tumour_cellularity_pct if specimen else None
    return is_small(specimen) or (share is not None and 20 <= share <= 30)


def _stage(kb: Knowledge, context: ClinicalContext) -> str | None:
    if context.stage_group is not None:
        return context.stage_group
    if context.question in {"first_line_metastatic", "later_line_metastatic"}:
        return "IV"
    groups = possible_groups(context, kb.staging) if context.t or context.n or context.m else None
    return next(iter(groups)) if groups is not None and len(groups) == 1 else None


def _resectability(context: ClinicalContext) -> str | None:
    if context.resectability != "unknown":
        return context.resectability
    if context.question == "stage_iii_unresectable":
        return "unresectable"
    if context.crt_status in {
        "ongoing_concurrent", "completed_concurrent", "completed_sequential"
    }:  # fmt: skip
        return "unresectable"
    return "resectable" if context.question == "resectable_preop" else None


def _markers(context: ClinicalContext) -> dict[str, Value]:
    msi = context.msi.value if context.msi.known else None
    mmr = context.mmr.value if context.mmr.known else None
    conflict = (msi, mmr) in {("MSI-H", "pMMR"), ("MSS", "dMMR")}
    deficient = True if "MSI-H" in (msi,) or "dMMR" in (mmr,) else None
    if deficient is None and (msi is not None or mmr is not None):
        deficient = False
    labelled = context.tmb.method == "tissue" and context.tmb.assay == "FoundationOne CDx"
    return {
        "msi": msi,
        "mmr": mmr,
        "msi_known": msi is not None or mmr is not None,
        "msi_conflict": conflict,
        "msi_high": None if conflict else deficient,
        "tmb": context.tmb.value,
        "tmb_labelled": labelled if context.tmb.known else None,
        "her2_ihc": context.her2_ihc.value,
        "met_ihc_3plus": context.met_ihc_3plus_pct.value,
        "cellularity": context.specimen.tumour_cellularity_pct if context.specimen else None,
    }
