"""Phenotype agent: an opinion on the immune phenotype that does not read the predictor."""

from typing import cast

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import PHENOTYPE, CaseState
from immunopath.domain.outcome import Ok, Outcome
from immunopath.domain.prediction import PhenotypeScores
from immunopath.models.protocols import PhenotypeScorer


@agent(PHENOTYPE, "phenotype")
def phenotype_agent(state: CaseState, context: RunContext) -> Outcome[PhenotypeScores]:
    """Ask the phenotype scorer."""
    engine = cast("PhenotypeScorer", context.phenotype.get())
    return Ok[PhenotypeScores](value=engine.score(tiles_of(state, context)))
