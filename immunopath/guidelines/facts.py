"""The clinical context to base facts: flat, named, None where nobody said."""

from datetime import date

from immunopath.domain.clinical import Autoimmune, ClinicalContext
from immunopath.guidelines.facts_history import history_facts
from immunopath.guidelines.facts_molecular import gene_facts
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.pdl1 import Pdl1Reading
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.staging import possible_groups, stage_problem


def known(value: str) -> str | None:
    """Return None for ``unknown``."""
    return None if value == "unknown" else value


def base_facts(
    kb: Knowledge, context: ClinicalContext, pdl1: Pdl1Reading, as_of: date
) -> dict[str, Value]:
    """Return all facts that are stated, not derived from one another."""
    facts: dict[str, Value] = {}
    for part in (
        _person(context),
        _disease(kb, context),
        history_facts(kb, context, as_of),
        _safety(context),
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
    return facts


def _person(context: ClinicalContext) -> dict[str, Value]:
    age = context.age_years
    fertile = context.sex_at_birth in {"female", "intersex"} and age is not None and age <= 55
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
    }


def _disease(kb: Knowledge, context: ClinicalContext) -> dict[str, Value]:
    evidence = context.histology_evidence
    specimen = context.specimen
    small = specimen is not None and specimen.type in {"core", "fna_cellblock", "cytology"}
    operated = context.surgery.done if context.surgery else None
    if context.question == "post_resection":
        operated = True
    return {
        "histology": known(context.histology),
        "histology_ihc": bool(set(evidence) - {"morphology_only"}) if evidence else False,
        "small_biopsy_without_p40": small and bool(evidence) and "p40" not in evidence,
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
        "operated": False if operated is None and context.question is not None else operated,
        "margin": context.surgery.margin if context.surgery else None,
        "adjuvant_chemo": known(context.adjuvant_chemo_done),
        "brain_mets": known(context.brain_mets),
        "metastatic_sites": None
        if context.metastatic_sites is None
        else frozenset(context.metastatic_sites),
        "oligometastatic": context.oligometastatic,
    }


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


def _safety(context: ClinicalContext) -> dict[str, Value]:
    organ, bleed, infect = (
        context.organ_function,
        context.bleeding_vascular,
        context.infections,
    )
    liver = (organ.ast_alt_x_uln or 0) > 1.5 and (organ.alp_x_uln or 0) > 2.5
    return {
        "transplant": known(context.transplant),
        "autoimmune": autoimmune_class(context.autoimmune),
        "ild": known(context.ild_or_fibrosis),
        "ipf": context.idiopathic_pulmonary_fibrosis,
        "prednisone": context.prednisone_equiv_mg_day,
        "active_infection": infect.active_serious or infect.untreated_tb,
        "viral_infection": infect.hiv or infect.hbv or infect.hcv,
        "bleeding_barrier": _any_true(
            bleed.haemoptysis,
            bleed.arterial_event_6mo,
            bleed.uncontrolled_htn,
            bleed.cavitation_or_great_vessel,
            bleed.gi_perforation_or_fistula,
            None if bleed.recent_surgery_days is None else bleed.recent_surgery_days < 28,
            True if "massive_haemoptysis" in context.emergency else None,
        ),
        "crcl": organ.crcl_ml_min,
        "docetaxel_barrier": _any_true(
            None if organ.bilirubin_x_uln is None else organ.bilirubin_x_uln > 1,
            None if organ.anc_per_ul is None else organ.anc_per_ul < 1500,
            True if liver else None,
        ),
        "lvef": organ.lvef_pct,
        "qtc": organ.qtc_ms,
        "heart_failure": organ.heart_failure,
        "neuropathy": context.neuropathy_grade,
        "hearing_loss": context.hearing_loss,
        "allergies": frozenset(a.strip().lower() for a in context.allergies),
        "cyp3a4_inducer": _interacts(context.concomitant_drugs),
    }


def _any_true(*values: bool | None) -> bool | None:
    if any(values):
        return True
    return None if None in values else False


def _interacts(names: tuple[str, ...]) -> bool | None:
    strong = {"rifampicin", "rifampin", "carbamazepine", "phenytoin", "st john's wort",
              "omeprazole", "pantoprazole", "esomeprazole", "lansoprazole"}  # fmt: skip
    return True if any(n.strip().lower() in strong for n in names) else None


def autoimmune_class(status: Autoimmune | None) -> str | None:
    """Return ``none``, ``inactive``, ``active``, ``life_threatening`` or None."""
    if status is None:
        return None
    if not status.present:
        return "none"
    if status.life_threatening and status.active is not False:
        return "life_threatening"
    return "inactive" if status.active is False else "active"


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
    }
