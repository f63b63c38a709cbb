"""Guideline agent: rules on measured facts, then what predictions may add (tests and flags)."""

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.state import ADJUDICATION, GUIDANCE, CaseState, read_case
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Ok, Outcome
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.overlay import overlay, predicted_facts


@agent(GUIDANCE, "guideline", bounded=False)
def guideline_agent(state: CaseState, context: RunContext) -> Outcome[Guidance]:
    """`evaluate` never sees a prediction; `overlay` cannot touch category or options."""
    guidance = evaluate(read_case(state).clinical, as_of=context.as_of)
    judged = ADJUDICATION.value(state)
    if judged is None:
        return Ok[Guidance](value=guidance)
    gates = {row.field: (row.informative, row.reason) for row in judged.trust}
    return Ok[Guidance](value=overlay(guidance, predicted_facts(judged.profile, gates)))
