"""Performance status, stage and histology as stated, and the diagnosis when its site is the lung.

Whether a stage is clinical or pathological is not part of a case, so its group is sent as text
instead of one of the two LOINC codes; the edition is the ``method``, as mCODE asks. Disease codes
that name the lung are sent only when the primary site was stated to be the lung.
"""

from typing import Any

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, State
from immunopath.reporting.fhir_base import Draft, concept, note
from immunopath.reporting.fhir_measured import observe
from immunopath.reporting.text import plain_name

_LUNG_SYSTEMS = ("snomed", "ncit", "oncotree")


def add_clinical(draft: Draft) -> None:
    """Add Observations of ECOG, stage and histology, and a Condition when it can be coded."""
    known = draft.report.clinical
    ecog = concept("ECOG performance status", keys=["ecog"])
    value = {"valueInteger": known.ecog}
    observe(draft, "observation/ecog", ecog, _stated(known.ecog), value, category="exam")
    _stage(draft, known)
    _histology(draft, known)


def _stated(value: str | int | None) -> Measured[Any]:
    """Return a clinical statement as a measurement: its absence means that nobody said."""
    if value is None or value == "unknown":
        return Measured[Any]()
    return Measured[Any](state=State.measured, value=value)


def _stage(draft: Draft, known: ClinicalContext) -> None:
    parts = [
        {"code": concept(f"{name} category"), "valueCodeableConcept": concept(part)}
        for name, part in (("T", known.t), ("N", known.n), ("M", known.m))
        if part
    ]
    group = known.stage_group
    observe(
        draft,
        "observation/stage",
        concept("Stage group"),
        _stated(group),
        {"valueCodeableConcept": concept(plain_name(group or ""))},
        method=known.staging_system or "",
        notes=() if known.staging_system or group is None else ("the edition was not stated",),
        extra={"component": parts},
        category="exam",
    )


def _histology(draft: Draft, known: ClinicalContext) -> None:
    text = plain_name(known.histology)
    seen = f"seen by {', '.join(known.histology_evidence)}" if known.histology_evidence else ""
    observe(
        draft,
        "observation/histology",
        concept("Histology"),
        _stated(known.histology),
        {"valueCodeableConcept": concept(text, keys=[f"{known.histology}.icdo3"])},
        notes=(seen,),
    )
    if known.histology == "unknown" or known.primary_site != "lung":
        return
    keys = [f"{known.histology}.{system}" for system in _LUNG_SYSTEMS]
    diagnosed = f"tissue diagnosis {known.diagnosed_on.isoformat()}" if known.diagnosed_on else ""
    body = {
        "code": concept(f"{text}, primary site lung", keys=keys),
        "subject": draft.ref("patient"),
        "stage": [{"assessment": draft.refs(["observation/stage"])}] if known.stage_group else [],
        "evidence": [{"detail": draft.refs(["observation/histology"])}],
        "note": note(diagnosed),
    }
    draft.add("Condition", "condition", body)
