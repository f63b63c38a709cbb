import pytest

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Gene, GeneResult
from immunopath.guidelines.facts_molecular import alterations, driver_facts, gene_facts
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value


def result(gene: Gene, value: str, method: str | None, **more: object) -> GeneResult:
    cellularity = more.pop("cellularity", None)
    specimen = SpecimenRef.model_validate({"tumour_cellularity_pct": cellularity})
    measured = Measured[str](state=State.measured, value=value, specimen=specimen)
    return GeneResult.model_validate({"gene": gene, "result": measured, "method": method, **more})


def facts(kb: Knowledge, *results: GeneResult) -> dict[str, Value]:
    base = gene_facts(ClinicalContext(genes=results), kb.genes)
    return base | driver_facts(base, kb.genes)


@pytest.mark.parametrize(
    ("gene", "method", "counts"),
    [
        (Gene.EGFR, "NGS_DNA", True), (Gene.EGFR, "PCR", True), (Gene.EGFR, "IHC", False),
        (Gene.EGFR, None, False), (Gene.ALK, "IHC", True), (Gene.ALK, "PCR", False),
        (Gene.ROS1, "IHC", True), (Gene.RET, "IHC", False), (Gene.RET, "NGS_RNA", True),
        (Gene.MET, "NGS_DNA", True), (Gene.MET, "PCR", False), (Gene.NTRK1, "FISH", True),
    ],
)  # fmt: skip
def test_a_negative_needs_a_method_that_covers_it(
    kb: Knowledge, gene: Gene, method: str | None, counts: bool
) -> None:
    found = facts(kb, result(gene, "negative", method))
    assert found[f"gene_{gene}"] == ("negative" if counts else None)
    assert found["inadequate_negatives"] is (not counts)


def test_a_negative_from_a_poor_specimen_is_unknown(kb: Knowledge) -> None:
    poor = facts(kb, result(Gene.EGFR, "negative", "NGS_DNA", cellularity=10))
    assert poor["gene_EGFR"] is None
    fine = facts(kb, result(Gene.EGFR, "negative", "NGS_DNA", cellularity=30))
    assert fine["gene_EGFR"] == "negative"


@pytest.mark.parametrize(("shed", "value"), [(True, "negative"), (False, None), (None, None)])
def test_ctdna_needs_shedding(kb: Knowledge, shed: bool | None, value: str | None) -> None:
    found = facts(kb, result(Gene.EGFR, "negative", "CTDNA_NGS", shedding_detected=shed))
    assert found["gene_EGFR"] == value
    assert found["ctdna_uninformative"] is (value is None)


def test_ros1_ihc_is_only_a_screen(kb: Knowledge) -> None:
    found = facts(kb, result(Gene.ROS1, "fusion", "IHC"))
    assert found["gene_ROS1"] is None
    assert found["ros1_ihc_unconfirmed"] is True
    both = facts(kb, result(Gene.ROS1, "fusion", "IHC"), result(Gene.ROS1, "fusion", "FISH"))
    assert alterations(both, "ROS1") == {"fusion"}


def test_drivers_are_three_valued(kb: Knowledge) -> None:
    found = facts(kb, result(Gene.EGFR, "L858R", "PCR"), result(Gene.ALK, "negative", "IHC"))
    assert found["driver_EGFR_COMMON"] is True
    assert found["driver_EGFR_EX20INS"] is False
    assert found["driver_ALK"] is False
    assert found["driver_RET"] is None
    assert found["actionable"] is True
    assert found["gate_complete"] is False
    assert found["egfr_alk_known"] is True


def test_ntrk_is_negative_only_when_all_three_are(kb: Knowledge) -> None:
    one = result(Gene.NTRK1, "negative", "NGS_RNA")
    assert facts(kb, one)["driver_NTRK"] is None
    others = [result(g, "negative", "NGS_RNA") for g in (Gene.NTRK2, Gene.NTRK3)]
    assert facts(kb, one, *others)["driver_NTRK"] is False


def test_rna_lifts_the_dna_only_mark(kb: Knowledge) -> None:
    dna = result(Gene.RET, "negative", "NGS_DNA")
    assert facts(kb, dna)["fusion_dna_only"] is True
    assert facts(kb, dna, result(Gene.RET, "negative", "NGS_RNA"))["fusion_dna_only"] is False


def test_nothing_tested_is_nothing_known(kb: Knowledge) -> None:
    found = facts(kb)
    assert found["actionable"] is None
    assert found["gate_missing"] == frozenset(kb.genes.gate)
    assert found["stk11_keap1"] is None
