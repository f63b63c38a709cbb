"""Treatment history to facts: what was given, when, and what it did."""

import re
from datetime import date
from itertools import pairwise

from immunopath.domain.clinical import ClinicalContext, PriorIo
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value


def history_facts(kb: Knowledge, context: ClinicalContext, as_of: date) -> dict[str, Value]:
    """Return what is stated of earlier therapies; a list that nobody gave stays unknown."""
    regimens = context.prior_therapies
    ids = None if regimens is None else frozenset(r.regimen for r in regimens)
    drugs = frozenset(d for i in ids or () if i in kb.regimens for d in kb.regimens[i].all_drugs())
    io = context.prior_io
    ici_drugs = any("ICI" in kb.drug_classes.get(d, ()) for d in drugs)
    prior_ici = True if ici_drugs or (io and io.given) else _none_given(io, ids)
    before_surgery = context.neoadjuvant_given
    return {
        "line": _line(context),
        "prior_none": None if ids is None else not ids and not (io and io.given),
        "prior_any": None
        if ids is None and not (io and io.given)
        else bool(ids or (io and io.given)),
        "prior_metastatic": None
        if ids is None
        else any(kb.regimens[i].setting == "metastatic" for i in ids if i in kb.regimens),
        "prior_regimens": ids,
        "prior_drugs": None if ids is None else drugs,
        "prior_ici": prior_ici,
        "last_ici_days": _days_since_ici(io, as_of),
        "irae": io.worst_irae if io else None,
        "irae_pneumonitis": bool(event_words(io.worst_irae if io else None) & {"pneumonitis"}),
        "irae_permanent": _irae_permanent(kb, io),
        "irae_caution": _irae_caution(kb, io),
        "neoadjuvant_ici": None
        if before_surgery is None
        else any(
            "ICI" in kb.drug_classes.get(d, ())
            for i in before_surgery
            if i in kb.regimens
            for d in kb.regimens[i].all_drugs()
        ),
    } | _prior_classes(kb, ids, drugs)


def _none_given(io: PriorIo | None, ids: frozenset[str] | None) -> bool | None:
    """Return False only when the record says so: a list of therapies without ICI, or 'none'."""
    return False if io is not None or ids is not None else None


def _prior_classes(
    kb: Knowledge, ids: frozenset[str] | None, drugs: frozenset[str]
) -> dict[str, Value]:
    classes = frozenset(c for d in drugs for c in kb.drug_classes.get(d, ()))
    names = {
        "prior_platinum": "PLATINUM",
        "prior_egfr_tki": "EGFR_TKI",
        "prior_alk_tki": "ALK_TKI",
        "prior_braf_tki": "BRAF_TKI",
        "prior_ret_tki": "RET_TKI",
        "prior_kras_tki": "KRAS_TKI",
        "prior_met_tki": "MET_TKI",
        "prior_targeted": "TARGETED",
    }
    facts: dict[str, Value] = {
        name: None if ids is None else token in classes for name, token in names.items()
    }
    trk = {"larotrectinib", "entrectinib", "repotrectinib"}
    facts["prior_trk_tki"] = None if ids is None else bool(drugs & trk)
    return facts


def _line(context: ClinicalContext) -> int | None:
    if context.line is not None:
        return context.line
    return 1 if context.question == "first_line_metastatic" else None


def _days_since_ici(io: PriorIo | None, as_of: date) -> int | None:
    if io is None or not io.given:
        return None
    if io.days_since_last_dose is not None:
        return io.days_since_last_dose
    return (as_of - io.end).days if io.end is not None else None


def event_words(text: str | None) -> frozenset[str]:
    """Return the words of a stated immune-related event, and neighbours joined: ``type_1``."""
    parts = re.findall(r"[a-z0-9]+", (text or "").lower())
    return frozenset(parts) | {"_".join(pair) for pair in pairwise(parts)}


def _irae_permanent(kb: Knowledge, io: PriorIo | None) -> bool:
    """CI-4. A grade that nobody stated cannot clear the barrier."""
    if io is None or io.worst_irae is None:
        return False
    words, kinds = event_words(io.worst_irae), kb.genes.immune_events
    grade = io.worst_irae_grade
    if words & set(kinds["stops_at_any_grade"]):
        return True
    if words & set(kinds["stops_from_grade_3"]):
        return grade is None or grade >= 3
    return grade is not None and grade >= 4 and not words & set(kinds["endocrine"])


def _irae_caution(kb: Knowledge, io: PriorIo | None) -> bool:
    return io is not None and io.worst_irae is not None and not _irae_permanent(kb, io)
