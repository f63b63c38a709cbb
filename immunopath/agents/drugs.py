"""Drugs agent: curated facts for every drug that the guideline agent named."""

from typing import cast

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.state import DRUGS, GUIDANCE, CaseState
from immunopath.domain.drug import DrugProfile
from immunopath.domain.outcome import Abstained, Ok, Outcome
from immunopath.models.embedded.drug_knowledge import DrugKnowledge


@agent(DRUGS, "drugs")
def drugs_agent(state: CaseState, context: RunContext) -> Outcome[tuple[DrugProfile, ...]]:
    """Look up the named drugs, in the order in which the options name them."""
    guidance = GUIDANCE.value(state)
    names = guidance.named_drugs() if guidance else ()
    if not names:
        return Abstained(reason="no drug is named")
    engine = cast("DrugKnowledge", context.drugs.get())
    return Ok[tuple[DrugProfile, ...]](value=engine.profiles(names))
