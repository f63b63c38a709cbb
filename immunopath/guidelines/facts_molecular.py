"""Gene results to facts. A negative counts only when the assay covers the alteration class."""

from collections.abc import Iterable, Mapping

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import SpecimenRef
from immunopath.domain.molecular import NEGATIVE, Gene, GeneResult
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import GeneFile


def gene_facts(context: ClinicalContext, genes: GeneFile) -> dict[str, Value]:
    """Return ``gene_X`` (alterations, ``negative`` or None) and the conflicts between results."""
    by_gene: dict[Gene, list[GeneResult]] = {}
    for result in context.genes:
        by_gene.setdefault(result.gene, []).append(result)
    facts: dict[str, Value] = {f"gene_{gene}": None for gene in Gene}
    flags = dict.fromkeys(
        (
            "gene_conflict_tissue",
            "gene_conflict_ctdna",
            "ros1_ihc_unconfirmed",
            "inadequate_negatives",
            "ctdna_uninformative",
        ),
        False,
    )
    for gene, results in by_gene.items():
        status, found = _one_gene(gene, results, genes, context.specimen)
        facts[f"gene_{gene}"] = status
        for name in found:
            flags[name] = True
    dna_only = _dna_only(context.genes)
    facts["fusion_dna_only"] = bool(dna_only & set(genes.fusions))
    facts["rna_preferred_dna_only"] = bool(dna_only & set(genes.rna_preferred))
    return facts | flags


def _dna_only(results: Iterable[GeneResult]) -> set[str]:
    """Return the genes whose only negative is by DNA sequencing of tissue."""
    negative = [r for r in results if r.result.value == NEGATIVE]
    by_dna = {r.gene.value for r in negative if r.method == "NGS_DNA"}
    otherwise = {"NGS_RNA", "NGS_DNA_RNA", "FISH", "IHC"}
    return by_dna - {r.gene.value for r in negative if r.method in otherwise}


def _one_gene(
    gene: Gene, results: Iterable[GeneResult], genes: GeneFile, case_specimen: SpecimenRef | None
) -> tuple[Value, set[str]]:
    notes: set[str] = set()
    positive: dict[bool, set[str]] = {True: set(), False: set()}
    negative = {True: False, False: False}
    for result in results:
        value, from_blood = result.result.value, result.method == "CTDNA_NGS"
        if value is None:
            continue
        if value != NEGATIVE:
            if gene is Gene.ROS1 and result.method == "IHC":
                notes.add("ros1_ihc_unconfirmed")
            else:
                positive[from_blood].add(value)
        elif from_blood and result.shedding_detected is not True:
            notes.add("ctdna_uninformative")
        elif _adequate(gene, result, genes, case_specimen):
            negative[from_blood] = True
        else:
            notes.add("inadequate_negatives")
    found = positive[True] | positive[False]
    if positive[False] and negative[False]:
        notes.add("gene_conflict_tissue")
    elif (positive[False] and negative[True]) or (positive[True] and negative[False]):
        notes.add("gene_conflict_ctdna")
    if found:
        return frozenset(found), notes
    return (NEGATIVE if any(negative.values()) else None), notes


def _adequate(
    gene: Gene, result: GeneResult, genes: GeneFile, case_specimen: SpecimenRef | None
) -> bool:
    """1.4: the method covers the class; tissue below 20 % tumour cells does not exclude by NGS.

    A result without a specimen of its own is read as one from the specimen of the case.
    """
    covered = genes.adequate_negative.get(gene.value)
    if covered is None:
        return result.method in {"NGS_DNA", "NGS_DNA_RNA", "IHC", "CTDNA_NGS"}
    if result.method == "CTDNA_NGS":
        return result.method in covered
    specimen = result.result.specimen or case_specimen
    cellularity = specimen.tumour_cellularity_pct if specimen else None
    if cellularity is not None and cellularity < 20 and "NGS" in (result.method or ""):
        return False
    return result.method in covered


def alterations(facts: Mapping[str, Value], gene: str) -> frozenset[str]:
    """Return the positive alterations of a gene; empty when negative or unknown."""
    value = facts.get(f"gene_{gene}")
    return value if isinstance(value, frozenset) else frozenset()


DRIVER_READS = (*(f"gene_{gene}" for gene in Gene), "histology", "prior_targeted")
"""Every base fact that `driver_facts` reads."""


def driver_facts(base: Mapping[str, Value], genes: GeneFile) -> dict[str, Value]:
    """Return ``driver_X`` (three-valued), the molecular gate and what it lacks."""
    facts: dict[str, Value] = {}
    for name, definition in genes.drivers.items():
        facts[f"driver_{name}"] = _driver(base, definition)
    squamous = base.get("histology") == "squamous"
    skipped = genes.nonsquamous_only if squamous else ()
    states = [facts[f"driver_{n}"] for n in genes.actionable if n not in skipped]
    facts["actionable"] = True if True in states else (None if None in states else False)
    missing = frozenset(g for g in genes.gate if base.get(f"gene_{g}") is None)
    facts["gate_missing"] = missing
    facts["gate_complete"] = not missing
    facts["dual_driver"] = (
        sum(facts[f"driver_{n}"] is True for n in genes.truncal) >= 2
        and base.get("prior_targeted") is not True
    )
    egfr, alk = facts["driver_EGFR_ANY"], facts["driver_ALK"]
    facts["egfr_alk_known"] = egfr is True or alk is True or (egfr is False and alk is False)
    facts["egfr_alk_negative"] = egfr is False and alk is False
    facts["gene_KRAS_mutated"] = _state(base.get("gene_KRAS"))
    stk, keap = _pathogenic(base.get("gene_STK11")), _pathogenic(base.get("gene_KEAP1"))
    facts["stk11_keap1"] = True if True in (stk, keap) else None
    smarca4 = base.get("gene_SMARCA4")
    facts["smarca4_deficient"] = isinstance(smarca4, frozenset) and bool(
        smarca4 & {"deficient", "pathogenic"}
    )
    return facts


def _driver(base: Mapping[str, Value], definition: Mapping[str, tuple[str, ...]]) -> bool | None:
    known: list[bool | None] = []
    for gene, wanted in definition.items():
        status = base.get(f"gene_{gene}")
        if isinstance(status, frozenset):
            known.append(bool(status & frozenset(wanted)))
        else:
            known.append(None if status is None else False)
    return True if True in known else (None if None in known else False)


def _state(status: Value) -> bool | None:
    return None if status is None else isinstance(status, frozenset)


def _pathogenic(status: Value) -> bool | None:
    if isinstance(status, frozenset):
        return "pathogenic" in status
    return None if status is None else False
