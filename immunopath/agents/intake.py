"""Intake agent: decode, resolve the scale, lay out tiles, check their quality."""

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import ADJUDICATION, INTAKE, CaseState, read_case
from immunopath.domain.errors import ImmunoPathError
from immunopath.domain.outcome import Ok, Outcome
from immunopath.domain.quality import IntakeResult
from immunopath.domain.sampling import SamplingDecision
from immunopath.imaging.intake import take_in
from immunopath.imaging.more import take_more


@agent(INTAKE, "intake", bounded=False)
def intake_agent(state: CaseState, context: RunContext) -> Outcome[IntakeResult]:
    """Fill the workspace with tiles; an unusable image is a result, not an exception.

    When the adjudicator has asked for more tissue, the regions it named are added.
    """
    before, judged = INTAKE.value(state), ADJUDICATION.value(state)
    if before is not None and judged is not None and judged.sampling is not None:
        return Ok[IntakeResult](value=_further(state, context, before, judged.sampling))
    case = read_case(state)
    store = context.workspace.store
    return Ok[IntakeResult](value=take_in(case.images, case.mpp, store, regions=case.regions))


def _further(
    state: CaseState, context: RunContext, before: IntakeResult, step: SamplingDecision
) -> IntakeResult:
    """Return the case with more regions, or as it was with the reason why none could be read."""
    try:
        store = tiles_of(state, context)
        return take_more(before, step, store)
    except ImmunoPathError as error:
        if before.sampling is None:
            raise
        log = before.sampling.model_copy(update={"fault": str(error)})
        return before.model_copy(update={"sampling": log})
