"""Predictor agent: the eight biomarkers of the accepted tiles."""

from typing import cast

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import PREDICTION, CaseState, read_case
from immunopath.domain.outcome import Ok, Outcome
from immunopath.domain.prediction import PredictorResult
from immunopath.models.protocols import AsksHistology, Predictor


@agent(PREDICTION, "predictor")
def predictor_agent(state: CaseState, context: RunContext) -> Outcome[PredictorResult]:
    """Ask the predictor engine; keep its nuclei in the workspace for overlays."""
    engine = cast("Predictor", context.predictor.get())
    tiles = tiles_of(state, context)
    if isinstance(engine, AsksHistology):
        answer = engine.predict_for(tiles, _histology(state))
    else:
        answer = engine.predict(tiles)
    context.workspace.nuclei = answer.nuclei
    return Ok[PredictorResult](value=answer.result)


def _histology(state: CaseState) -> str | None:
    """Return the stated histology; None when it is unknown."""
    stated = read_case(state).clinical.histology
    return None if stated == "unknown" else stated
