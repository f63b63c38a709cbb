"""The graph: every subset of engines, failing and slow services, routes, checkpoints."""

from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from engines_under_test import Failing, Handle, Stuck, absent
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from immunopath.agents.context import RunContext
from immunopath.agents.state import (
    ADJUDICATION,
    DRUGS,
    PHENOTYPE,
    PREDICTION,
    REPORT,
    RETRIEVAL,
    CaseState,
    StateKey,
)
from immunopath.domain.case import Case
from immunopath.domain.outcome import Failed, Ok, Unavailable
from immunopath.domain.report import CaseStatus, ReportProvenance
from immunopath.models.lazy import LazyAtlas, LazyEngine
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.graph import build_graph

AS_OF = date(2026, 11, 24)
ROLES = ("predictor", "phenotype", "embedder", "drugs")


@pytest.fixture
def lung(shared_images: Path) -> Case:
    return Case(
        case_id="a", images=(shared_images / "lung_he_til/u24_cae100/image_99.png",), mpp=0.5
    )


def context(**handles: Any) -> RunContext:
    real = {r: LazyEngine(r, EngineSpec(name="embedded"), "cpu") for r in ROLES}  # type: ignore[arg-type]
    return RunContext(
        **(real | {"atlas": LazyAtlas()} | handles),
        as_of=AS_OF,
        provenance=ReportProvenance(
            package_version="0", configuration_digest="c", input_digest="i"
        ),
    )


def run(case: Case, ctx: RunContext) -> CaseState:
    state: CaseState = build_graph().invoke(
        {"case": case.model_dump(mode="json"), "trace": []}, context=ctx
    )
    return state


def agents(state: CaseState) -> list[str]:
    return [entry["agent"] for entry in state["trace"]]


@pytest.mark.parametrize("missing", list(product((False, True), repeat=4)))
def test_every_subset_of_engines_meets_one_adjudicator_and_one_reporter(
    lung: Case, missing: tuple[bool, ...]
) -> None:
    handles = {role: absent(role) for role, gone in zip(ROLES, missing, strict=True) if gone}
    state = run(lung, context(**handles))
    for name in ("intake", "predictor", "phenotype", "retrieval", "adjudicator", "reporter"):
        assert agents(state).count(name) == 1
    report = REPORT.value(state)
    assert report is not None
    if "predictor" in handles:
        assert isinstance(PREDICTION.read(state), Unavailable)
        assert all(field.abstained for _, field in report.profile.items())
        assert report.status is CaseStatus.partial


KEYS: dict[str, StateKey[Any]] = {
    "predictor": PREDICTION,
    "phenotype": PHENOTYPE,
    "embedder": RETRIEVAL,
    "drugs": DRUGS,
}


@pytest.mark.parametrize("role", ROLES)
def test_a_failing_engine_is_a_failed_outcome_and_the_others_go_on(lung: Case, role: str) -> None:
    state = run(lung, context(**{role: Handle(Failing())}))
    report = REPORT.value(state)
    assert report is not None
    assert report.status is CaseStatus.partial
    assert ADJUDICATION.value(state) is not None
    for name, key in KEYS.items():
        outcome = key.read(state)
        assert isinstance(outcome, Failed) is (name == role)
        if isinstance(outcome, Failed):
            assert outcome.error_id == "ZeroDivisionError"
            assert "\n" not in outcome.message


@pytest.mark.parametrize("role", ROLES)
def test_a_stuck_engine_is_given_up_and_the_report_stands(lung: Case, role: str) -> None:
    stuck = Stuck()
    ctx = replace(context(**{role: Handle(stuck)}), engine_timeout_s=1.5)
    try:
        state = run(lung, ctx)
    finally:
        stuck.released.set()
    outcome = KEYS[role].read(state)
    assert isinstance(outcome, Failed)
    assert outcome.error_id == "EngineTimeout"
    report = REPORT.value(state)
    assert report is not None
    assert report.status is CaseStatus.partial


def test_refused_input_goes_straight_to_the_reporter(shared_images: Path) -> None:
    case = Case(case_id="x", images=(shared_images / "negatives/skimage_chelsea.png",))
    state = run(case, context())
    assert agents(state) == ["intake", "reporter"]
    report = REPORT.value(state)
    assert report is not None
    assert report.status is CaseStatus.refused
    assert report.status_reason
    assert any(check.verdict == "refuse" for check in report.images[0].quality.checks)


def test_an_unreadable_file_ends_the_graph_without_a_report(tmp_path: Path) -> None:
    state = run(Case(case_id="x", images=(tmp_path / "none.png",)), context())
    assert agents(state) == ["intake"]


def test_the_state_survives_the_strict_serializer_unchanged(lung: Case) -> None:
    state = run(lung, context())
    serde = JsonPlusSerializer(allowed_msgpack_modules=[])
    assert serde.loads_typed(serde.dumps_typed(dict(state))) == dict(state)


def test_two_runs_give_the_same_bytes(lung: Case) -> None:
    first, second = (REPORT.read(run(lung, context())) for _ in range(2))
    assert isinstance(first, Ok)
    assert isinstance(second, Ok)
    assert first.value.model_dump_json() == second.value.model_dump_json()


def test_the_drawing_in_the_docs_is_the_compiled_graph() -> None:
    page = Path(__file__).parents[2] / "docs" / "architecture.md"
    assert build_graph().get_graph().draw_mermaid().strip() in page.read_text("utf-8")
