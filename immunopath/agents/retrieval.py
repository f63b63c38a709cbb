"""Retrieval agent: similar reference patches and what is known of them."""

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.state import RETRIEVAL, CaseState
from immunopath.domain.errors import EngineUnavailable
from immunopath.domain.outcome import Outcome
from immunopath.domain.prediction import RetrievalResult


@agent(RETRIEVAL, "retrieval")
def retrieval_agent(state: CaseState, context: RunContext) -> Outcome[RetrievalResult]:
    """Embed the tiles and search the atlas. No atlas is part of this build yet: it says so."""
    context.embedder.get()
    raise EngineUnavailable("no reference atlas is part of this build yet")
