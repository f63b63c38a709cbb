"""Adjudicator agent: runs once for every subset of engines and always has something to say."""

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.state import (
    ADJUDICATION,
    INTAKE,
    PHENOTYPE,
    PREDICTION,
    RETRIEVAL,
    CaseState,
)
from immunopath.domain.errors import ImmunoPathError
from immunopath.domain.finding import Adjudication
from immunopath.domain.outcome import Ok, Outcome
from immunopath.guidelines.adjudication import adjudicate


@agent(ADJUDICATION, "adjudicator", bounded=False)
def adjudicator_agent(state: CaseState, context: RunContext) -> Outcome[Adjudication]:
    """Compare the engines, apply the consistency rules and the trust gate."""
    intake = INTAKE.value(state)
    if intake is None:
        raise ImmunoPathError("the adjudicator was reached without an intake result")
    result = adjudicate(
        PREDICTION.read(state), PHENOTYPE.read(state), RETRIEVAL.read(state), intake
    )
    return Ok[Adjudication](value=result)
