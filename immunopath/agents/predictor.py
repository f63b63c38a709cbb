"""Predictor agent: the eight biomarkers of the accepted tiles."""

from typing import cast

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import PREDICTION, CaseState
from immunopath.domain.outcome import Ok, Outcome
from immunopath.domain.prediction import PredictorResult
from immunopath.models.protocols import Predictor


@agent(PREDICTION, "predictor")
def predictor_agent(state: CaseState, context: RunContext) -> Outcome[PredictorResult]:
    """Ask the predictor engine; keep its nuclei in the workspace for overlays."""
    engine = cast("Predictor", context.predictor.get())
    answer = engine.predict(tiles_of(state, context))
    context.workspace.nuclei = answer.nuclei
    return Ok[PredictorResult](value=answer.result)
