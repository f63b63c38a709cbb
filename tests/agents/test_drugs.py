"""The drugs agent: curated facts for every drug that the guidance names, and for no other."""

import pytest
import samples_guidance as rules
from agent_states import MISSING, answered, context, embedded, given, run
from engines_under_test import Failing, Stuck

from immunopath.agents.context import RunContext
from immunopath.agents.drugs import drugs_agent
from immunopath.agents.state import DRUGS, CaseState
from immunopath.domain.drug import DrugProfile
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Abstained, Failed, Ok, Outcome, Unavailable


def asked_of(ctx: RunContext, state: CaseState) -> Outcome[tuple[DrugProfile, ...]]:
    written, _ = run(drugs_agent, state, ctx)
    assert set(written) == {"drugs", "trace"}
    return DRUGS.read(written)  # type: ignore[arg-type]


def guided(guidance: Guidance) -> CaseState:
    return answered(guidance=Ok[Guidance](value=guidance), drugs=None)


def bare(**changes: object) -> Guidance:
    empty = {"options": (), "conditional": ()}
    return rules.with_options().model_copy(update=empty | changes)


@pytest.fixture
def ctx() -> RunContext:
    return context(drugs=embedded("drugs"))


def test_every_named_drug_is_looked_up_in_the_order_of_the_options(ctx: RunContext) -> None:
    guidance = rules.with_options()
    found = asked_of(ctx, guided(guidance))
    assert isinstance(found, Ok)
    assert tuple(profile.name for profile in found.value) == guidance.named_drugs()
    assert all(profile.facts for profile in found.value)


def test_drugs_of_conditional_branches_are_looked_up_too(ctx: RunContext) -> None:
    guidance = rules.test_first()
    assert guidance.option_drugs() == ()
    found = asked_of(ctx, guided(guidance))
    assert isinstance(found, Ok)
    assert {profile.name for profile in found.value} == set(guidance.conditional_drugs())


def test_no_drug_named_is_an_abstention_that_does_not_load_the_knowledge() -> None:
    ctx = context(drugs=embedded("drugs"))
    assert asked_of(ctx, guided(bare())) == Abstained(reason="no drug is named")
    assert ctx.drugs.loaded_info() is None


@pytest.mark.parametrize("outcome", [*MISSING, None], ids=str)
def test_without_guidance_no_drug_is_named(ctx: RunContext, outcome: object) -> None:
    found = asked_of(ctx, answered(guidance=outcome, drugs=None))
    assert found == Abstained(reason="no drug is named")


def test_a_drug_that_is_not_curated_is_a_fault_that_names_it(ctx: RunContext) -> None:
    invented = rules.MONO.model_copy(update={"drugs": ("aspirinol",)})
    found = asked_of(ctx, guided(bare(options=(invented,))))
    assert isinstance(found, Failed)
    assert found.error_id == "KnowledgeError"
    assert "aspirinol" in found.message


def test_an_absent_engine_is_unavailable() -> None:
    found = asked_of(context(), guided(rules.with_options()))
    assert found == Unavailable(reason="drugs is absent")


def test_a_broken_engine_is_failed() -> None:
    found = asked_of(context(drugs=given(Failing())), guided(rules.with_options()))
    assert found == Failed(error_id="ZeroDivisionError", message="broken engine")


def test_a_stuck_engine_is_given_up() -> None:
    stuck = Stuck()
    try:
        ctx = context(drugs=given(stuck), engine_timeout_s=0.05)
        found = asked_of(ctx, guided(rules.with_options()))
    finally:
        stuck.released.set()
    assert isinstance(found, Failed)
    assert found.error_id == "EngineTimeout"
