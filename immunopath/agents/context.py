"""What a run carries beside the state: engines, pixels, the date. Never checkpointed."""

from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import Protocol

import numpy as np
import numpy.typing as npt

from immunopath.domain.outcome import Ok
from immunopath.domain.report import CaseReport, ReportProvenance
from immunopath.domain.sampling import SamplingBudget
from immunopath.imaging.tiles import TileStore
from immunopath.models.lazy import LazyAtlas
from immunopath.models.protocols import EngineInfo, NucleiTable


class EngineHandle(Protocol):
    """Gives the engine of a role, loading it on the first call."""

    def get(self) -> object:
        """Return the engine; raises `EngineError`."""

    def loaded_info(self) -> EngineInfo | None:
        """Return what the loaded engine is, or None when it is not loaded."""


@dataclass
class Workspace:
    """Pixels, nuclei and tile vectors of one running case.

    vectors: one unit-norm row per accepted tile, float32 (n_tiles, embedding size).
    """

    store: TileStore = field(default_factory=TileStore)
    nuclei: NucleiTable | None = None
    vectors: npt.NDArray[np.float32] | None = None
    lock: Lock = field(default_factory=Lock)

    def nuclei_of(self, report: CaseReport) -> NucleiTable | None:
        """Return the nuclei that the report counts: not those of a round before one that failed."""
        return None if report.morphometry is None else self.nuclei

    def vectors_of(self, report: CaseReport) -> npt.NDArray[np.float32] | None:
        """Return the vectors of the report's own retrieval, likewise."""
        return self.vectors if isinstance(report.retrieval, Ok) else None


@dataclass(frozen=True)
class RunContext:
    """LangGraph runtime context of one case.

    checkpointed: whether the state leaves the process, so that it must be plain data.
    """

    predictor: EngineHandle
    phenotype: EngineHandle
    embedder: EngineHandle
    drugs: EngineHandle
    atlas: LazyAtlas
    as_of: date
    provenance: ReportProvenance
    neighbours: int = 8
    engine_timeout_s: float | None = None
    sampling: SamplingBudget = field(default_factory=SamplingBudget)
    workspace: Workspace = field(default_factory=Workspace)
    checkpointed: bool = True
