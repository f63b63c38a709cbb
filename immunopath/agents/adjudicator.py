"""Adjudicator agent: runs once for every subset of engines and always has something to say."""

from typing import Any

from immunopath.agents.boundary import TIMED_OUT, agent
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
from immunopath.domain.outcome import Failed, Ok, Outcome
from immunopath.guidelines.adjudication import adjudicate
from immunopath.guidelines.more_tissue import more_tissue


@agent(ADJUDICATION, "adjudicator", bounded=False)
def adjudicator_agent(state: CaseState, context: RunContext) -> Outcome[Adjudication]:
    """Compare the engines, apply the rules, and say whether slides should be read further."""
    intake = INTAKE.value(state)
    if intake is None:
        raise ImmunoPathError("the adjudicator was reached without an intake result")
    result = adjudicate(
        PREDICTION.read(state), PHENOTYPE.read(state), RETRIEVAL.read(state), intake
    )
    late = [key.name for key in (PREDICTION, PHENOTYPE, RETRIEVAL) if _late(key.read(state))]
    step = more_tissue(result, intake, context.sampling, late)
    return Ok[Adjudication](value=result.model_copy(update={"sampling": step}))


def _late(outcome: Outcome[Any]) -> bool:
    return isinstance(outcome, Failed) and outcome.error_id == TIMED_OUT
