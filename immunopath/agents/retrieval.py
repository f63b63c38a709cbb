"""Retrieval agent: similar reference patches and what is known of them."""

from typing import cast

import numpy as np
import numpy.typing as npt

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext, Workspace
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import INTAKE, RETRIEVAL, CaseState, read_case
from immunopath.domain.outcome import Ok, Outcome
from immunopath.domain.prediction import RetrievalResult
from immunopath.models.atlas import LeaveOut
from immunopath.models.protocols import Embedder, EngineInfo, TileSource
from immunopath.models.retrieval import retrieve


@agent(RETRIEVAL, "retrieval")
def retrieval_agent(state: CaseState, context: RunContext) -> Outcome[RetrievalResult]:
    """Embed the tiles and search the atlas, the case's own patient and pixels left out."""
    embedder = _Keeping(cast("Embedder", context.embedder.get()), context.workspace)
    intake = INTAKE.value(state)
    images = intake.images if intake else ()
    own = LeaveOut(
        patient_id=read_case(state).patient_id,
        pixels_sha256s=frozenset(image.pixels_sha256 for image in images),
        image_sha256s=frozenset(image.sha256 for image in images),
    )
    result = retrieve(
        tiles_of(state, context), embedder, context.atlas.get(), context.neighbours, own
    )
    return Ok[RetrievalResult](value=result)


class _Keeping:
    """An embedder whose vectors stay in the workspace, for exports."""

    def __init__(self, embedder: Embedder, workspace: Workspace) -> None:
        self._embedder, self._workspace = embedder, workspace

    @property
    def info(self) -> EngineInfo:
        return self._embedder.info

    def embed(self, source: TileSource) -> npt.NDArray[np.float32]:
        self._workspace.vectors = self._embedder.embed(source)
        return self._workspace.vectors
