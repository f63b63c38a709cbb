"""The one structured result of a case."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.drug import DrugProfile
from immunopath.domain.finding import Agreement, Finding, TrustRow
from immunopath.domain.guidance import Guidance
from immunopath.domain.heat import HeatReport
from immunopath.domain.outcome import Outcome
from immunopath.domain.prediction import (
    BiomarkerProfile,
    ModelAnswer,
    Morphometry,
    PhenotypeScores,
    RetrievalResult,
)
from immunopath.domain.quality import ImageSummary, TileSummary
from immunopath.domain.sampling import SamplingReport

SCHEMA_VERSION = "1.0"

RESEARCH_USE = (
    "Research use only. Not for diagnosis or treatment. Predictions from H&E are unvalidated: "
    "confirm with a validated assay."
)


class CaseStatus(StrEnum):
    """``partial``: the report stands, but an engine was unavailable or failed."""

    ok = "ok"
    partial = "partial"
    refused = "refused"


class EngineStatus(Frozen):
    """How one agent of the graph ended, and which engine it used."""

    agent: str
    status: str
    """``ok``, ``abstained``, ``unavailable``, ``failed`` or ``skipped``."""
    reason: str = ""
    engine: str | None = None
    revision: str | None = None
    weights_digest: str | None = None


class ReportProvenance(Frozen):
    """What made this report. No clock, no host: those belong to the run's events."""

    package_version: str
    schema_version: str = SCHEMA_VERSION
    configuration_digest: str
    """SHA-256 of the whole parameter object of the run."""
    input_digest: str
    """SHA-256 over the case's parameters and the bytes of its images."""
    knowledge_version: str | None = None
    atlas_id: str | None = None


class CaseReport(Frozen):
    """Everything ImmunoPath has to say about one case (`reporting.RenderedReport` shows it)."""

    schema_version: str = SCHEMA_VERSION
    research_use: str = RESEARCH_USE
    case_id: str
    patient_id: str | None = None
    as_of: date
    status: CaseStatus
    status_reason: str = ""
    images: tuple[ImageSummary, ...]
    tiles: tuple[TileSummary, ...]
    clinical: ClinicalContext
    profile: BiomarkerProfile
    """After adjudication. Without a predictor every field is an abstention that says why."""
    layout_note: str = ""
    morphometry: Morphometry | None
    answers: tuple[ModelAnswer, ...] = ()
    """What a language model answered, prompt by prompt; empty for engines that measure."""
    phenotype: Outcome[PhenotypeScores]
    retrieval: Outcome[RetrievalResult]
    agreement: tuple[Agreement, ...]
    trust: tuple[TrustRow, ...]
    findings: tuple[Finding, ...]
    guidance: Outcome[Guidance]
    drugs: Outcome[tuple[DrugProfile, ...]]
    engines: tuple[EngineStatus, ...]
    limitations: tuple[str, ...]
    provenance: ReportProvenance
    sampling: SamplingReport | None = Field(default=None, exclude_if=lambda found: found is None)
    """How the slides of the case were sampled; absent from the JSON of a case without slides."""
    heat: HeatReport | None = Field(default=None, exclude_if=lambda found: found is None)
    """What a dense pass over the slides counted; absent from the JSON unless it was asked for."""
