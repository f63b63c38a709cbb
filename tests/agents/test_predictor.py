"""The predictor agent: its engine answering, failing, slow and absent."""

from pathlib import Path

import pytest
from agent_states import PATCH, asked, context, embedded, given, run
from engines_under_test import Failing, Handle, Stuck

from immunopath.agents.context import RunContext
from immunopath.agents.predictor import predictor_agent
from immunopath.agents.state import PREDICTION, CaseState
from immunopath.domain.errors import EngineError
from immunopath.domain.outcome import Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import PredictorResult


def asked_of(ctx: RunContext, state: CaseState) -> Outcome[PredictorResult]:
    written, _ = run(predictor_agent, state, ctx)
    assert set(written) == {"prediction", "trace"}
    return PREDICTION.read(written)  # type: ignore[arg-type]


@pytest.fixture
def state(shared_images: Path) -> CaseState:
    return asked(shared_images / PATCH)


def test_the_answer_and_its_nuclei_belong_together(state: CaseState) -> None:
    ctx = context(predictor=embedded("predictor"))
    found = asked_of(ctx, state)
    assert isinstance(found, Ok)
    seen, nuclei = found.value.morphometry, ctx.workspace.nuclei
    assert seen is not None
    assert nuclei is not None
    assert len(nuclei) == seen.n_nuclei
    assert int(nuclei.is_lymphocyte.sum()) == seen.n_lymphocytes


def test_the_answer_is_that_of_the_engine_on_the_tiles_of_the_case(state: CaseState) -> None:
    ctx = context(predictor=embedded("predictor"))
    found = asked_of(ctx, state)
    alone = embedded("predictor").get().predict(ctx.workspace.store)
    assert isinstance(found, Ok)
    assert found.value == alone.result
    tiles = {tile.tile_id for tile in ctx.workspace.store.tiles}
    for _, field in found.value.profile.items():
        assert set(field.source.tile_ids) == tiles


def test_an_absent_engine_is_unavailable_with_the_reason(state: CaseState) -> None:
    ctx = context()
    assert asked_of(ctx, state) == Unavailable(reason="predictor is absent")
    assert ctx.workspace.nuclei is None


def test_a_broken_engine_is_failed_and_leaves_no_nuclei(state: CaseState) -> None:
    ctx = context(predictor=given(Failing()))
    found = asked_of(ctx, state)
    assert found == Failed(error_id="ZeroDivisionError", message="broken engine")
    assert ctx.workspace.nuclei is None


def test_an_engine_that_cannot_be_loaded_is_failed(state: CaseState) -> None:
    found = asked_of(context(predictor=Handle(error=EngineError("constants are damaged"))), state)
    assert found == Failed(error_id="EngineError", message="constants are damaged")


def test_a_stuck_engine_is_given_up(state: CaseState) -> None:
    stuck = Stuck()
    try:
        found = asked_of(context(predictor=given(stuck), engine_timeout_s=0.3), state)
    finally:
        stuck.released.set()
    assert isinstance(found, Failed)
    assert found.error_id == "EngineTimeout"


def test_images_that_are_gone_fail_by_name(tmp_path: Path) -> None:
    ctx = context(predictor=embedded("predictor"))
    found = asked_of(ctx, asked(tmp_path / "gone.png"))
    assert isinstance(found, Failed)
    assert found.error_id == "ImageReadError"
    assert "gone.png" in found.message
