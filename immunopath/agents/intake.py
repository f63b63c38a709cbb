"""Intake agent: decode, resolve the scale, lay out tiles, check their quality."""

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.state import INTAKE, CaseState, read_case
from immunopath.domain.outcome import Ok, Outcome
from immunopath.domain.quality import IntakeResult
from immunopath.imaging.intake import take_in


@agent(INTAKE, "intake", bounded=False)
def intake_agent(state: CaseState, context: RunContext) -> Outcome[IntakeResult]:
    """Fill the workspace with tiles; an unusable image is a result, not an exception."""
    case = read_case(state)
    return Ok[IntakeResult](value=take_in(case.images, case.mpp, context.workspace.store))
