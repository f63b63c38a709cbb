"""The guideline agent: measured facts decide, predictions only add tests, flags and remarks."""

from pathlib import Path

import pytest
from agent_states import AS_OF, MISSING, answered, asked, context, run

from immunopath.agents.guideline import guideline_agent
from immunopath.agents.state import GUIDANCE, CaseState
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Outcome
from immunopath.guidelines.casefile import load_clinical
from immunopath.guidelines.engine import evaluate

EXAMPLES = Path(__file__).parents[2] / "examples"
EMPTY = ClinicalContext()


def guided(state: CaseState, **changes: object) -> Guidance:
    written, _ = run(guideline_agent, state, context(**changes))
    assert set(written) == {"guidance", "trace"}
    value = GUIDANCE.value(written)  # type: ignore[arg-type]
    assert value is not None
    return value


def with_facts(clinical: ClinicalContext, **outcomes: object) -> CaseState:
    state = answered(**outcomes)
    state["case"] = asked(clinical=clinical)["case"]
    return state


@pytest.fixture(scope="module")
def complete() -> ClinicalContext:
    return load_clinical(EXAMPLES / "clinical_complete.yaml")


def test_without_a_judged_profile_it_is_the_rules_alone(complete: ClinicalContext) -> None:
    for facts in (EMPTY, complete):
        state = with_facts(facts, adjudication=None)
        assert guided(state) == evaluate(facts, as_of=AS_OF)


@pytest.mark.parametrize("outcome", MISSING, ids=lambda outcome: outcome.status)
def test_a_failed_adjudicator_does_not_silence_the_rules(
    outcome: Outcome[object], complete: ClinicalContext
) -> None:
    assert guided(with_facts(complete, adjudication=outcome)).options


def test_predictions_change_neither_category_nor_options(complete: ClinicalContext) -> None:
    for facts in (EMPTY, complete):
        alone, beside = guided(with_facts(facts, adjudication=None)), guided(with_facts(facts))
        assert beside.category == alone.category
        assert beside.options == alone.options
        assert beside.conditional == alone.conditional
        assert beside.named_drugs() == alone.named_drugs()


def test_nothing_measured_is_test_first_whatever_was_predicted() -> None:
    found = guided(with_facts(EMPTY))
    assert found.category == "TEST_FIRST"
    assert found.options == ()


def test_the_date_is_that_of_the_run_not_of_the_clock(complete: ClinicalContext) -> None:
    earlier = AS_OF.replace(year=AS_OF.year - 1)
    assert guided(with_facts(complete)).as_of == AS_OF
    assert guided(with_facts(complete), as_of=earlier).as_of == earlier


def test_a_state_without_a_case_fails_by_name() -> None:
    state = answered()
    del state["case"]
    written, _ = run(guideline_agent, state, context())
    found = GUIDANCE.read(written)  # type: ignore[arg-type]
    assert found.status == "failed"
    assert found.error_id == "KeyError"
