"""The phenotype agent: a second opinion that never sees the first."""

from pathlib import Path

import pytest
from agent_states import PATCH, answered, asked, context, embedded, given, run
from engines_under_test import Failing, Stuck

from immunopath.agents.context import RunContext
from immunopath.agents.phenotype import phenotype_agent
from immunopath.agents.state import PHENOTYPE, CaseState
from immunopath.domain.outcome import Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import PhenotypeScores


def asked_of(ctx: RunContext, state: CaseState) -> Outcome[PhenotypeScores]:
    written, _ = run(phenotype_agent, state, ctx)
    assert set(written) == {"phenotype", "trace"}
    return PHENOTYPE.read(written)  # type: ignore[arg-type]


@pytest.fixture
def state(shared_images: Path) -> CaseState:
    return asked(shared_images / PATCH)


def test_the_answer_is_that_of_the_engine(state: CaseState) -> None:
    ctx = context(phenotype=embedded("phenotype"))
    found = asked_of(ctx, state)
    assert isinstance(found, Ok)
    assert found.value == embedded("phenotype").get().score(ctx.workspace.store)
    assert found.value.source.mpp_source == "user"


def test_a_small_patch_gets_an_abstention_inside_an_answer(state: CaseState) -> None:
    """The service ran and declines: that is an `Ok` whose scores abstain, with the reason."""
    found = asked_of(context(phenotype=embedded("phenotype")), state)
    assert isinstance(found, Ok)
    assert found.value.abstained
    assert "µm" in found.value.reason


def test_the_first_opinion_is_not_read(state: CaseState) -> None:
    """With another predictor's answer in the state, or none, it says the same."""
    ctx = context(phenotype=embedded("phenotype"))
    alone = asked_of(ctx, state)
    beside = state | {"prediction": answered()["prediction"]}
    assert asked_of(ctx, beside) == alone  # type: ignore[arg-type]
    assert ctx.workspace.nuclei is None


def test_an_absent_engine_is_unavailable(state: CaseState) -> None:
    assert asked_of(context(), state) == Unavailable(reason="phenotype is absent")


def test_a_broken_engine_is_failed(state: CaseState) -> None:
    found = asked_of(context(phenotype=given(Failing())), state)
    assert found == Failed(error_id="ZeroDivisionError", message="broken engine")


def test_a_stuck_engine_is_given_up(state: CaseState) -> None:
    stuck = Stuck()
    try:
        found = asked_of(context(phenotype=given(stuck), engine_timeout_s=0.3), state)
    finally:
        stuck.released.set()
    assert isinstance(found, Failed)
    assert found.error_id == "EngineTimeout"
