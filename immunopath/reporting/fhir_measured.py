"""Measured markers as FHIR Observations. What has no value says why: never a fake negative.

State of the measurement → ``status`` and ``dataAbsentReason``: pending → registered, temp-unknown;
not done → cancelled, not-performed; failed → final, error; indeterminate → final, unknown (with
the word as text); nobody said → unknown, unknown. A value that cannot stand as stated (a TPS of
150, one read on too few cells, a negative by an assay that does not cover the alteration) is sent
as text in a note only. As in the tables, a result without a specimen of its own is judged by that
of the case; it is not said to come from it.
"""

import re
from typing import Any

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import NEGATIVE, Gene, GeneResult, Pdl1Result
from immunopath.guidelines.facts_molecular import gene_facts
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.pdl1 import parse_tps
from immunopath.reporting.fhir_base import (
    Draft,
    Json,
    codings,
    concept,
    identifier,
    note,
    plain,
    quantity,
)
from immunopath.reporting.text import plain_name

_STATES = {
    State.pending: ("registered", "absent.pending"),
    State.not_done: ("cancelled", "absent.not_done"),
    State.failed: ("final", "absent.failed"),
    State.indeterminate: ("final", "absent.unknown"),
    State.unknown: ("unknown", "absent.unknown"),
}
_BLOOD = re.compile(r"blood|plasma|ctdna", re.IGNORECASE)
_UNKNOWN = Measured[str]()
LOW_CELLS = 100
"""Viable tumour cells below which a PD-L1 result is inadequate (rule PDL-10)."""


def absent(key: str, text: str) -> Json:
    """Return the ``dataAbsentReason`` of an observation without a value."""
    return {"dataAbsentReason": concept(text, keys=[key])}


def add_measured(draft: Draft) -> None:
    """Add an Observation for every marker of the tables, known or not."""
    known = draft.report.clinical
    pdl1 = known.pdl1 or (Pdl1Result(tps=Measured[float | str]()),)
    for number, result in enumerate(pdl1):
        _pdl1(draft, f"observation/pdl1/{number}", result)
    _msi(draft, known)
    _tmb(draft, known)
    mmr_value = concept(str(known.mmr.value))
    mmr_code = concept("Mismatch repair proteins by immunohistochemistry")
    observe(draft, "observation/mmr", mmr_code, known.mmr, {"valueCodeableConcept": mmr_value})
    _scores(draft, known)
    for gene in Gene:
        own = [stated for stated in known.genes if stated.gene is gene]
        for number, found in enumerate(own or [GeneResult(gene=gene, result=_UNKNOWN)]):
            _gene(draft, f"observation/gene/{gene}/{number}", found)


def observe(  # noqa: PLR0913 - one keyword for each part of an Observation
    draft: Draft,
    role: str,
    code: Json,
    result: Measured[Any],
    value: Json,
    *,
    method: str = "",
    notes: tuple[str, ...] = (),
    extra: Json | None = None,
    category: str = "laboratory",
) -> None:
    """Add one Observation; `value` is sent only when the result is known."""
    status, body = "final", value
    if not result.known:
        status, key = _STATES[result.state]
        body = absent(key, plain_name(result.state))
    if "dataAbsentReason" in body:
        draft.without_value.add(role)
    reported = f"reported {result.reported_on.isoformat()}" if result.reported_on else ""
    draft.add(
        "Observation",
        role,
        {
            "status": status,
            "category": [{"coding": codings(f"category.{category}")}],
            "code": code,
            "subject": draft.ref("patient"),
            **body,
            "note": note(reported, *notes),
            **_origin(draft, result, method),
            **(extra or {}),
        },
    )


def _origin(draft: Draft, result: Measured[Any], method: str) -> Json:
    """Return who measured it, on what and how, as far as it was said."""
    how = ", ".join(dict.fromkeys(filter(None, (method, result.method, result.assay))))
    taken = result.specimen.collected if result.specimen else None
    source = identifier("source", result.source_ref) if result.source_ref else None
    return {
        "effectiveDateTime": taken.isoformat() if taken else None,
        "performer": [{"display": plain(result.lab)}] if result.lab else [],
        "method": concept(plain_name(how)) if how else None,
        "specimen": _specimen(draft, result.specimen),
        "derivedFrom": [{"type": "DocumentReference", "identifier": source}] if source else [],
    }


def _specimen(draft: Draft, specimen: SpecimenRef | None) -> Json | None:
    if specimen is None or not specimen.model_dump(exclude_none=True):
        return None
    known = (
        (specimen.tumour_cellularity_pct, "tumour cellularity {:g} %"),
        (specimen.viable_tumour_cells, "{:g} viable tumour cells"),
    )
    said = [text.format(value) for value, text in known if value is not None]
    said += ["decalcified"] if specimen.decalcified else []
    said += ["taken before a systemic therapy"] if specimen.before_intervening_therapy else []
    body = {
        "type": concept(plain_name(specimen.type)) if specimen.type else None,
        "subject": draft.ref("patient"),
        "collection": {
            "collectedDateTime": specimen.collected.isoformat() if specimen.collected else None,
            "bodySite": concept(specimen.site) if specimen.site else None,
        },
        "note": note(*said),
    }
    same = f"specimen/{specimen.model_dump_json()}"
    return draft.ref(same) if draft.has(same) else draft.add("Specimen", same, body)


def _pdl1(draft: Draft, role: str, result: Pdl1Result) -> None:
    is_tps = result.score_type in {"TPS", "TC", "unknown"}
    unnamed = result.score_type == "unknown"
    text = "PD-L1 score" if unnamed else f"PD-L1 {result.score_type}"
    code = concept(text, keys=["pdl1_tps"] if is_tps else [])
    value: Json = {}
    notes: tuple[str, ...] = ()
    if result.tps.known:
        value, problem = _tps_value(result, is_tps, draft.report.clinical.specimen)
        notes = (problem, "score type not stated, entered as TPS" if unnamed else "")
    assay = "" if result.assay == "unknown" else result.assay
    observe(draft, role, code, result.tps, value, method=assay, notes=notes)


def _tps_value(
    result: Pdl1Result, is_percent: bool, case_specimen: SpecimenRef | None
) -> tuple[Json, str]:
    stated = str(result.tps.value).strip()
    parsed = parse_tps(result.tps.value) if result.tps.value is not None else None
    if parsed is None or parsed[0] < 0 or (is_percent and parsed[1] > 100):
        return absent("absent.failed", "not a percentage"), f"stated as {stated}"
    specimen = result.tps.specimen or case_specimen
    cells = specimen.viable_tumour_cells if specimen else None
    if cells is not None and cells < LOW_CELLS:
        reason = f"indeterminate: fewer than {LOW_CELLS} viable tumour cells"
        return absent("absent.unknown", reason), f"stated as {stated}"
    if result.unit == "missing":
        return {"valueString": f"{stated} (unit not stated)"}, ""
    low, high, _ = parsed
    unit = "unit_percent" if result.score_type != "CPS" else ""
    bound = re.match(r"<=|>=|<|>", stated)
    if bound:
        end = high if bound[0].startswith("<") else low
        return {"valueQuantity": {"comparator": bound[0], **quantity(end, unit)}}, ""
    if low == high:
        return {"valueQuantity": quantity(low, unit)}, ""
    return {"valueRange": {"low": quantity(low, unit), "high": quantity(high, unit)}}, ""


def _msi(draft: Draft, known: ClinicalContext) -> None:
    answer = "msi_high" if known.msi.value == "MSI-H" else "msi_stable"
    value = {"valueCodeableConcept": concept(str(known.msi.value), keys=[answer])}
    code = concept("Microsatellite instability", keys=["msi"])
    observe(draft, "observation/msi", code, known.msi, value)


def _tmb(draft: Draft, known: ClinicalContext) -> None:
    """Blood and tissue TMB are not interchangeable: the code is that of the tumour."""
    blood = bool(_BLOOD.search(f"{known.tmb.method} {known.tmb.assay}"))
    text = "Tumour mutational burden" + (", blood" if blood else "")
    value = {"valueQuantity": quantity(known.tmb.value or 0, "unit_per_megabase")}
    code = concept(text, keys=[] if blood else ["tmb"])
    observe(draft, "observation/tmb", code, known.tmb, value)


def _scores(draft: Draft, known: ClinicalContext) -> None:
    her2 = {"valueString": f"{known.her2_ihc.value}+"}
    code = concept("HER2 by immunohistochemistry")
    observe(draft, "observation/her2_ihc", code, known.her2_ihc, her2)
    met = {"valueQuantity": quantity(known.met_ihc_3plus_pct.value or 0, "unit_percent")}
    code = concept("MET by immunohistochemistry, share of tumour cells 3+")
    observe(draft, "observation/met_ihc", code, known.met_ihc_3plus_pct, met)


def _gene(draft: Draft, role: str, result: GeneResult) -> None:
    value, notes = _gene_value(result, draft.report.clinical.specimen)
    studied = {
        "code": concept("Gene studied", keys=["gene_studied"]),
        "valueCodeableConcept": concept(result.gene, keys=[f"gene.{result.gene}"]),
    }
    code = concept(f"{result.gene} alteration", keys=["variant"])
    observe(
        draft, role, code, result.result, value, method=result.method or "", notes=notes,
        extra={"component": [studied]},
    )  # fmt: skip


def _gene_value(
    result: GeneResult, case_specimen: SpecimenRef | None
) -> tuple[Json, tuple[str, ...]]:
    if not result.result.known:
        return {}, ()
    text = plain_name(str(result.result.value))
    # the tables' own reading of this one result: does it count at all?
    alone = ClinicalContext(genes=(result,), specimen=case_specimen)
    facts = gene_facts(alone, load_knowledge().genes)
    counts = facts[f"gene_{result.gene}"] is not None
    if result.result.value != NEGATIVE:
        keys = ["variant_present"] if counts else []
        said = () if counts else ("not confirmed by a second method",)
        return {"valueCodeableConcept": concept(text, keys=keys)}, said
    if counts:
        return {"valueCodeableConcept": concept(text, keys=["variant_absent"])}, ()
    shed = "" if result.shedding_detected is not False else ", no tumour DNA seen"
    stated = f"stated negative by {plain_name(result.method or 'an unnamed method')}{shed}"
    reason = "negative not adequate: the assay does not exclude the alteration"
    return absent("absent.unknown", reason), (stated,)
