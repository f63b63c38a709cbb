"""The retrieval agent: neighbours from the atlas, never the case itself."""

from pathlib import Path

import pytest
from agent_states import PATCH, asked, context, embedded, given, run
from engines_under_test import Failing, Stuck
from PIL import Image

from immunopath.agents.context import RunContext
from immunopath.agents.intake import intake_agent
from immunopath.agents.retrieval import retrieval_agent
from immunopath.agents.state import RETRIEVAL, CaseState
from immunopath.domain.outcome import Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import RetrievalResult
from immunopath.models.lazy import LazyAtlas


def asked_of(ctx: RunContext, state: CaseState) -> Outcome[RetrievalResult]:
    written, _ = run(retrieval_agent, state, ctx)
    assert set(written) == {"retrieval", "trace"}
    return RETRIEVAL.read(written)  # type: ignore[arg-type]


def neighbours(ctx: RunContext, state: CaseState) -> RetrievalResult:
    found = asked_of(ctx, state)
    assert isinstance(found, Ok)
    return found.value


@pytest.fixture
def patch(shared_images: Path) -> Path:
    return shared_images / PATCH


@pytest.fixture
def ctx() -> RunContext:
    return context(embedder=embedded("embedder"))


def test_neighbours_come_from_the_atlas_in_order(ctx: RunContext, patch: Path) -> None:
    found = neighbours(ctx, asked(patch))
    assert len(found.neighbours) == ctx.neighbours
    assert found.atlas_id == ctx.atlas.get().atlas_id
    known = {entry.entry_id for entry in ctx.atlas.get().entries}
    assert {n.neighbour_id for n in found.neighbours} <= known
    values = [n.similarity for n in found.neighbours]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("wanted", [1, 3])
def test_as_many_as_were_asked_for(patch: Path, wanted: int) -> None:
    ctx = context(embedder=embedded("embedder"), neighbours=wanted)
    assert len(neighbours(ctx, asked(patch)).neighbours) == wanted


@pytest.mark.parametrize("container", ["png", "bmp"])
def test_the_pixels_of_the_case_itself_are_left_out(
    ctx: RunContext, shared_images: Path, tmp_path: Path, container: str
) -> None:
    """A patch of the atlas finds itself, but not once intake knows its pixels, in any container."""
    (entry,) = (e for e in ctx.atlas.get().entries if e.entry_id == "nucls-train_1")
    copy = tmp_path / f"a.{container}"
    Image.open(shared_images / "nucls_til/images/train_1.png").convert("RGB").save(copy)
    state = asked(copy, mpp=entry.mpp)
    best = neighbours(ctx, state).neighbours[0]
    assert best.neighbour_id == entry.entry_id
    assert best.similarity > 0.99
    written, _ = run(intake_agent, state, context())
    assert written["intake"]["value"]["images"][0]["pixels_sha256"] == entry.pixels_sha256
    state["intake"] = written["intake"]
    found = neighbours(ctx, state)
    assert entry.entry_id not in {n.neighbour_id for n in found.neighbours}
    assert sum(found.excluded.values()) >= 1


def test_the_patient_of_the_case_is_left_out(ctx: RunContext, patch: Path) -> None:
    everyone = neighbours(ctx, asked(patch))
    patient = next(n.patient_id for n in everyone.neighbours if n.patient_id)
    without = neighbours(ctx, asked(patch, patient_id=patient))
    assert patient not in {n.patient_id for n in without.neighbours}
    assert without.excluded.get("same_patient", 0) > 0
    assert "same_patient" not in everyone.excluded


def test_an_absent_engine_is_unavailable(patch: Path) -> None:
    assert asked_of(context(), asked(patch)) == Unavailable(reason="embedder is absent")


def test_an_absent_atlas_is_unavailable_with_the_remedy(patch: Path, tmp_path: Path) -> None:
    ctx = context(embedder=embedded("embedder"), atlas=LazyAtlas(tmp_path / "atlas"))
    found = asked_of(ctx, asked(patch))
    assert isinstance(found, Unavailable)
    assert "no atlas here" in found.reason
    assert str(tmp_path) in found.reason


def test_a_broken_engine_is_failed(patch: Path) -> None:
    found = asked_of(context(embedder=given(Failing())), asked(patch))
    assert found == Failed(error_id="ZeroDivisionError", message="broken engine")


def test_a_stuck_engine_is_given_up(patch: Path) -> None:
    stuck = Stuck()
    ctx = context(embedder=given(stuck), engine_timeout_s=0.5)
    try:
        found = asked_of(ctx, asked(patch))
    finally:
        stuck.released.set()
    assert isinstance(found, Failed)
    assert found.error_id == "EngineTimeout"
