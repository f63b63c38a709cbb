"""What is known of the patient, as rows. Unknown stays unknown, not tested is never negative."""

from datetime import date
from typing import Any

from pydantic import BaseModel

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.reporting.clinical_words import fact_label, part_label, with_unit
from immunopath.reporting.document import Pair
from immunopath.reporting.text import as_stated, plain_name
from immunopath.reporting.words import method_name

UNKNOWN = "unknown"

_LABORATORY = frozenset(
    {"pdl1", "msi", "mmr", "tmb", "genes", "her2_ihc", "met_ihc_3plus_pct", "problems"}
)
_CORE = ("histology", "stage_group", "line", "ecog")
_EMPTY_MEANS_NONE = frozenset({"prior_therapies", "neoadjuvant_given", "metastatic_sites"})


def measured_rows(clinical: ClinicalContext) -> tuple[Pair, ...]:
    """Return the rows of the measured box: core facts, laboratory values, and what is unknown.

    Results that say the same by the same method share a row; everything without a result stands in
    one row labelled ``Unknown``.
    """
    core = tuple(_fact(clinical, name) for name in _CORE)
    pdl1 = _pdl1_rows(clinical.pdl1, brief=True) or (Pair("PD-L1 TPS", UNKNOWN, known=False),)
    merged: dict[tuple[str, str, bool], list[str]] = {}
    for row in (*_gene_rows(clinical.genes, brief=True), *_other_rows(clinical, brief=True)):
        merged.setdefault((row.value, row.detail, row.known), []).append(row.label)
    results = tuple(
        Pair(", ".join(labels), value, detail, known)
        for (value, detail, known), labels in merged.items()
    )
    absent = _absent(clinical)
    rest = (Pair("Unknown", ", ".join(absent), known=False),) if absent else ()
    return (*core, *pdl1, *results, *rest)


def result_rows(clinical: ClinicalContext) -> tuple[Pair, ...]:
    """Return every laboratory value with who measured it, on what, and when."""
    return (*_pdl1_rows(clinical.pdl1), *_gene_rows(clinical.genes), *_other_rows(clinical))


def stated_rows(clinical: ClinicalContext) -> tuple[Pair, ...]:
    """Return every further clinical fact that somebody stated."""
    names = (n for n in type(clinical).model_fields if n not in _LABORATORY and n not in _CORE)
    return tuple(row for row in (_fact(clinical, name) for name in names) if row.known)


def unstated(clinical: ClinicalContext) -> tuple[str, ...]:
    """Return the labels of clinical facts that nobody stated."""
    names = (n for n in type(clinical).model_fields if n not in _LABORATORY and n not in _CORE)
    rows = (_fact(clinical, name) for name in names)
    return tuple(row.label for row in rows if not row.known)


def open_results(clinical: ClinicalContext) -> tuple[Pair, ...]:
    """Return laboratory values that were asked for but have no value: pending, failed and so on."""
    rows = [(f"PD-L1 {r.score_type}", r.tps) for r in clinical.pdl1]
    results: list[tuple[str, Measured[Any]]] = [
        *rows,
        *((str(r.gene), r.result) for r in clinical.genes),
        *_single(clinical),
    ]
    return tuple(
        Pair(label, plain_name(value.state), _basis(value), known=False)
        for label, value in results
        if value.state not in {State.measured, State.unknown}
    )


def _single(clinical: ClinicalContext) -> tuple[tuple[str, Measured[Any]], ...]:
    return (
        ("MSI", clinical.msi),
        ("MMR IHC", clinical.mmr),
        ("TMB", clinical.tmb),
        ("HER2 IHC", clinical.her2_ihc),
        ("MET IHC 3+", clinical.met_ihc_3plus_pct),
    )


def _fact(clinical: ClinicalContext, name: str) -> Pair:
    text = _stated(getattr(clinical, name), empty_means_none=name in _EMPTY_MEANS_NONE)
    return Pair(fact_label(name), with_unit(name, text) or UNKNOWN, known=bool(text))


def _stated(value: object, *, empty_means_none: bool = False) -> str:
    """Return the text of a stated fact, or an empty string when nobody stated it."""
    if value is None or value == UNKNOWN:
        return ""
    match value:
        case bool():
            text = "yes" if value else "no"
        case BaseModel():
            text = _compound(value)
        case tuple():
            text = ", ".join(map(_stated, value)) or ("none" if empty_means_none else "")
        case float() | int():
            text = as_stated(value)
        case date():
            text = value.isoformat()
        case _:
            text = plain_name(str(value))
    return text


def _compound(value: BaseModel) -> str:
    parts = ((name, _stated(getattr(value, name))) for name in type(value).model_fields)
    told = (f"{part_label(name)} {with_unit(name, text)}" for name, text in parts if text)
    return "; ".join(text.lstrip() for text in told)


def _absent(clinical: ClinicalContext) -> tuple[str, ...]:
    seen = {result.gene for result in clinical.genes if result.result.state is not State.unknown}
    genes = tuple(str(gene) for gene in Gene if gene not in seen)
    return genes + tuple(
        label for label, value in _single(clinical) if value.state is State.unknown
    )


def _pdl1_rows(results: tuple[Pdl1Result, ...], *, brief: bool = False) -> tuple[Pair, ...]:
    return tuple(_pdl1(result, brief) for result in results)


def _pdl1(result: Pdl1Result, brief: bool) -> Pair:
    score = "score" if result.score_type == UNKNOWN else result.score_type
    assay = "" if result.assay == UNKNOWN else result.assay
    row = _result(f"PD-L1 {score}", result.tps, assay, brief=brief)
    if not row.known:
        return row
    unit = " %" if result.unit == "percent" else " (unit not stated)"
    return Pair(row.label, row.value + unit, row.detail)


def _gene_rows(genes: tuple[GeneResult, ...], *, brief: bool = False) -> tuple[Pair, ...]:
    known = (result for result in genes if result.result.state is not State.unknown)
    return tuple(_gene(result, brief) for result in known)


def _gene(result: GeneResult, brief: bool) -> Pair:
    row = _result(str(result.gene), result.result, result.method or "", brief=brief)
    if result.shedding_detected is None:
        return row
    shed = "tumour DNA seen" if result.shedding_detected else "no tumour DNA seen"
    return Pair(row.label, row.value, _joined(row.detail, shed), row.known)


def _other_rows(clinical: ClinicalContext, *, brief: bool = False) -> tuple[Pair, ...]:
    units = {"TMB": " mut/Mb", "HER2 IHC": "+", "MET IHC 3+": " %"}
    rows = []
    for label, value in _single(clinical):
        row = _result(label, value, brief=brief)
        if row.known:
            row = Pair(label, row.value + units.get(label, ""), row.detail)
        if value.state is not State.unknown:
            rows.append(row)
    return tuple(rows)


def _result(label: str, value: Measured[Any], method: str = "", *, brief: bool = False) -> Pair:
    basis = _basis(value, method, brief=brief)
    if not value.known:
        return Pair(label, plain_name(value.state), basis, known=False)
    text = as_stated(value.value) if isinstance(value.value, float | int) else str(value.value)
    return Pair(label, text, basis)


def _basis(value: Measured[Any], method: str = "", *, brief: bool = False) -> str:
    """Return who measured it, on what, when: the inputs a reader can check."""
    how = method_name(method or value.method or value.assay or "")
    when = value.reported_on.isoformat() if value.reported_on else ""
    if brief:
        return _joined(how, when)
    other = value.method if method and value.method != method else ""
    assay = value.assay if method or value.method else ""
    return _joined(how, other, assay, _specimen(value.specimen), when, value.lab, value.source_ref)


def _specimen(specimen: SpecimenRef | None) -> str:
    if specimen is None:
        return ""
    share, cells = specimen.tumour_cellularity_pct, specimen.viable_tumour_cells
    return _joined(
        specimen.site,
        plain_name(specimen.type) if specimen.type else "",
        f"cellularity {share:g} %" if share is not None else "",
        f"{cells} viable tumour cells" if cells is not None else "",
        "decalcified" if specimen.decalcified else "",
        "taken before a later therapy" if specimen.before_intervening_therapy else "",
        f"collected {specimen.collected.isoformat()}" if specimen.collected else "",
    )


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)
