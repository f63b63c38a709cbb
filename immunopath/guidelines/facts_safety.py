"""Contraindications to facts (`guidelines.md` 1.2, 2.14)."""

from collections.abc import Iterable

from immunopath.domain.clinical import Autoimmune, ClinicalContext
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value


def known(value: str) -> str | None:
    """Return None for ``unknown``."""
    return None if value == "unknown" else value


def safety_facts(kb: Knowledge, context: ClinicalContext) -> dict[str, Value]:
    """Return what bears on contraindications; nobody said is None, never False."""
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
        "prednisone_reason": known(context.prednisone_reason),
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
        "allergies": _drugs(kb, context.allergies),
    } | _comedication(kb, context.concomitant_drugs)


def _any_true(*values: bool | None) -> bool | None:
    if any(values):
        return True
    return None if None in values else False


def _drugs(kb: Knowledge, names: Iterable[str]) -> frozenset[str]:
    """Return the drugs by their name in the knowledge; a brand name is the drug it contains."""
    plain = (name.strip().lower() for name in names)
    return frozenset(kb.drug_names.get(name, name) for name in plain)


def _comedication(kb: Knowledge, names: Iterable[str]) -> dict[str, Value]:
    """Return one fact per kind of interacting drug: True, or None (a list is rarely complete)."""
    taken = frozenset(name.strip().lower() for name in names)
    return {
        kind: True if taken & frozenset(listed) else None
        for kind, listed in kb.genes.comedication.items()
    }


def autoimmune_class(status: Autoimmune | None) -> str | None:
    """Return ``none``, ``inactive``, ``active``, ``life_threatening`` or None."""
    if status is None:
        return None
    if not status.present:
        return "none"
    if status.life_threatening and status.active is not False:
        return "life_threatening"
    controlled = status.active is False and status.on_immunosuppressant is not True
    return "inactive" if controlled else "active"
