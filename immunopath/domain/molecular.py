"""PD-L1 and gene results as a laboratory reports them."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.measured import Measured


class Gene(StrEnum):
    """Genes the guideline tables read."""

    EGFR = "EGFR"
    ALK = "ALK"
    ROS1 = "ROS1"
    RET = "RET"
    BRAF = "BRAF"
    MET = "MET"
    NTRK1 = "NTRK1"
    NTRK2 = "NTRK2"
    NTRK3 = "NTRK3"
    ERBB2 = "ERBB2"
    KRAS = "KRAS"
    NRG1 = "NRG1"
    STK11 = "STK11"
    KEAP1 = "KEAP1"
    TP53 = "TP53"
    SMARCA4 = "SMARCA4"


NEGATIVE = "negative"
FUSION = ("fusion",)
SUPPRESSOR = ("pathogenic", "vus")

ALTERATIONS: dict[Gene, tuple[str, ...]] = {
    Gene.EGFR: (
        "ex19del", "L858R", "ex20ins", "G719X", "S768I", "L861Q", "T790M", "C797S", "other",
    ),
    Gene.ALK: FUSION,
    Gene.ROS1: FUSION,
    Gene.RET: FUSION,
    Gene.NTRK1: FUSION,
    Gene.NTRK2: FUSION,
    Gene.NTRK3: FUSION,
    Gene.NRG1: FUSION,
    Gene.BRAF: ("V600E", "non_V600"),
    Gene.KRAS: ("G12C", "G12D", "G12V", "other"),
    Gene.MET: ("ex14", "amplification"),
    Gene.ERBB2: ("TKD_mutation", "other_mutation", "amplification"),
    Gene.STK11: SUPPRESSOR,
    Gene.KEAP1: SUPPRESSOR,
    Gene.TP53: SUPPRESSOR,
    Gene.SMARCA4: ("pathogenic", "vus", "deficient"),
}  # fmt: skip
"""Allowed alterations of each gene; ``negative`` is allowed for all."""

Method = Literal["NGS_DNA", "NGS_RNA", "NGS_DNA_RNA", "PCR", "FISH", "IHC", "CTDNA_NGS"]


class GeneResult(Frozen):
    """One result for one gene. Whether a negative is adequate is the engine's question."""

    gene: Gene
    result: Measured[str]
    method: Method | None = None
    shedding_detected: bool | None = None
    """For ctDNA: whether tumour DNA was seen at all."""

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        value = self.result.value
        if value is not None and value != NEGATIVE and value not in ALTERATIONS[self.gene]:
            allowed = ", ".join((NEGATIVE, *ALTERATIONS[self.gene]))
            raise ValueError(f"{self.gene} {value!r} is not one of {allowed}")
        return self


class Pdl1Result(Frozen):
    """One PD-L1 result as reported: a number in percent, or ``<1``, ``>=50``, ``a-b``.

    The number is kept as stated, also when impossible: rules PDL-1 to PDL-12 judge it.
    """

    tps: Measured[float | str]
    unit: Literal["percent", "missing"] = "percent"
    score_type: Literal["TPS", "TC", "IC", "CPS", "unknown"] = "unknown"
    assay: Literal["22C3", "28-8", "SP263", "SP142", "other_ldt", "unknown"] = "unknown"
