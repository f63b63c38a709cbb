"""States and contexts built by hand, and one node run as the graph would run it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import samples
from engines_under_test import Handle, absent
from langgraph.runtime import Runtime

from immunopath.agents.context import RunContext
from immunopath.agents.state import (
    ADJUDICATION,
    DRUGS,
    GUIDANCE,
    INTAKE,
    PHENOTYPE,
    PREDICTION,
    RETRIEVAL,
    CaseState,
    StateKey,
)
from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.finding import Adjudication
from immunopath.domain.outcome import Abstained, Failed, Ok, Unavailable
from immunopath.domain.prediction import CutPoints, PhenotypeScores, PredictorResult
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import IntakeResult
from immunopath.domain.report import ReportProvenance
from immunopath.models.lazy import LazyAtlas, LazyEngine
from immunopath.models.registry import ROLES, Role
from immunopath.models.spec import EngineSpec

Node = Callable[[CaseState, Runtime[RunContext]], dict[str, Any]]
AS_OF = date(2026, 11, 24)
PATCH = "lung_he_til/u24_cae100/image_99.png"
KEYS: tuple[StateKey[Any], ...] = (
    INTAKE, PREDICTION, PHENOTYPE, RETRIEVAL, ADJUDICATION, GUIDANCE, DRUGS,
)  # fmt: skip
MISSING = (
    Abstained(reason="had its reasons"),
    Unavailable(reason="was not installed"),
    Failed(error_id="ZeroDivisionError", message="broke"),
)


def embedded(role: Role) -> LazyEngine:
    """Return the handle of a real embedded engine."""
    return LazyEngine(role, EngineSpec(name="embedded"), "cpu")


def context(**changes: Any) -> RunContext:
    """Return a context in which no engine is there unless given."""
    values: dict[str, Any] = {role: absent(role) for role in ROLES}
    values |= {
        "atlas": LazyAtlas(),
        "as_of": AS_OF,
        "provenance": ReportProvenance(
            package_version="0.1.0", configuration_digest="c" * 64, input_digest=""
        ),
    }
    return RunContext(**values | changes)


def run(
    node: Node, state: CaseState, ctx: RunContext
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what a node writes and the events it sent."""
    events: list[dict[str, Any]] = []
    return node(state, Runtime(context=ctx, stream_writer=events.append)), events


def asked(*images: Path, mpp: float | None = 0.5, **more: Any) -> CaseState:
    """Return the state of a case that was only asked yet."""
    case = Case(case_id="P-17", images=images or (Path("gone.png"),), mpp=mpp, **more)
    return {"case": case.model_dump(mode="json"), "trace": []}


def intake(*, usable: bool = True, reason: str = "") -> IntakeResult:
    """Return what intake says of one accepted, or of one refused image."""
    if usable:
        return IntakeResult(usable=True, images=(samples.image(),), tiles=samples.tiles())
    refused = samples.image(samples.STAINED)
    return IntakeResult(usable=False, reason=reason, images=(refused,), tiles=())


def predicted() -> PredictorResult:
    """Return a predictor's answer with values, a hint and abstentions."""
    full = samples.full()
    return PredictorResult(
        profile=full.profile,
        cut_points=CutPoints(low=0.12, high=0.4),
        morphometry=full.morphometry,
        layout_note=full.layout_note,
    )


def scores(value: str = "excluded") -> PhenotypeScores:
    """Return a second opinion that is sure of `value`."""
    table = dict.fromkeys(("inflamed", "excluded", "desert"), 0.1) | {value: 0.8}
    source = Provenance(engine="embedded-phenotype", revision="1")
    return PhenotypeScores(scores=table, value=value, abstained=False, source=source)


def answered(**outcomes: Any) -> CaseState:
    """Return the state in which every agent gave an answer, changed by key where given."""
    full = samples.full()
    judged = Adjudication(
        profile=full.profile,
        agreement=full.agreement,
        trust=full.trust,
        findings=full.findings,
    )
    values: dict[str, Any] = {
        "intake": Ok[IntakeResult](value=intake()),
        "prediction": Ok[PredictorResult](value=predicted()),
        "phenotype": Ok[PhenotypeScores](value=scores()),
        "retrieval": full.retrieval,
        "adjudication": Ok[Adjudication](value=judged),
        "guidance": full.guidance,
        "drugs": full.drugs,
    }
    values |= outcomes
    names = {"prediction": "predictor", "adjudication": "adjudicator", "guidance": "guideline"}
    state = asked(clinical=ClinicalContext(), patient_id="PAT-01")
    for key in KEYS:
        outcome = values[key.name]
        if outcome is not None:
            state[key.name] = key.dump(outcome)  # type: ignore[literal-required]
            agent = names.get(key.name, key.name)
            state["trace"].append({"agent": agent, "status": outcome.status})
    return state


def given(engine: object) -> Handle:
    """Return a handle that gives this engine."""
    return Handle(engine)
