"""The LangGraph graph of one case.

intake ─┬─ predictor ─┐
        ├─ phenotype ─┼─ adjudicator ─ guideline ─ drugs ─ reporter
        └─ retrieval ─┘     │
  ^─────── more tissue ─────┘

An engine that is missing is no missing edge: its node runs and answers `Unavailable`, so the join
before the adjudicator always fires exactly once a round. For slides the adjudicator may send the
case back to intake for more regions, within the budget of `SamplingBudget`. Unusable input goes
from intake straight to the reporter; guidance that names no drug skips the drugs agent.
"""

from typing import Any

from langgraph.graph import END, START, StateGraph

from immunopath.agents.adjudicator import adjudicator_agent
from immunopath.agents.context import RunContext
from immunopath.agents.drugs import drugs_agent
from immunopath.agents.guideline import guideline_agent
from immunopath.agents.intake import intake_agent
from immunopath.agents.phenotype import phenotype_agent
from immunopath.agents.predictor import predictor_agent
from immunopath.agents.reporter import reporter_agent
from immunopath.agents.retrieval import retrieval_agent
from immunopath.agents.state import ADJUDICATION, GUIDANCE, INTAKE, CaseState

ENGINES = ("predictor", "phenotype", "retrieval")


def after_intake(state: CaseState) -> list[str]:
    """Route to the engines, to the reporter (unusable input) or to the end (unreadable file)."""
    intake = INTAKE.value(state)
    if intake is None:
        return [END]
    return list(ENGINES) if intake.usable else ["reporter"]


def after_adjudicator(state: CaseState) -> str:
    """Route back to intake while the adjudicator names tissue to read; slides only."""
    judged = ADJUDICATION.value(state)
    return "intake" if judged and judged.sampling and judged.sampling.wanted else "guideline"


def after_guideline(state: CaseState) -> str:
    """Route to the drugs agent when a drug is named in options or conditional branches."""
    guidance = GUIDANCE.value(state)
    return "drugs" if guidance and guidance.named_drugs() else "reporter"


def build_graph(checkpointer: Any = None) -> Any:  # noqa: ANN401 - LangGraph's compiled type
    """Return the compiled graph; `checkpointer` is any LangGraph saver or None."""
    graph = StateGraph(CaseState, context_schema=RunContext)
    for name, node in (
        ("intake", intake_agent),
        ("predictor", predictor_agent),
        ("phenotype", phenotype_agent),
        ("retrieval", retrieval_agent),
        ("adjudicator", adjudicator_agent),
        ("guideline", guideline_agent),
        ("drugs", drugs_agent),
        ("reporter", reporter_agent),
    ):
        graph.add_node(name, node)  # type: ignore[call-overload]
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", after_intake, [*ENGINES, "reporter", END])
    graph.add_edge(list(ENGINES), "adjudicator")
    graph.add_conditional_edges("adjudicator", after_adjudicator, ["intake", "guideline"])
    graph.add_conditional_edges("guideline", after_guideline, ["drugs", "reporter"])
    graph.add_edge("drugs", "reporter")
    graph.add_edge("reporter", END)
    return graph.compile(checkpointer=checkpointer)
