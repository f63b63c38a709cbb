"""The state: plain data under every key, and typed values when it is read."""

import json
from typing import Any, get_type_hints

import pytest
from agent_states import KEYS, MISSING, answered, asked
from domain_strategies import instances
from hypothesis import HealthCheck, given, settings
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import ValidationError

from immunopath.agents.state import (
    INTAKE,
    PHENOTYPE,
    REPORT,
    RETRIEVAL,
    SKIPPED,
    CaseState,
    StateKey,
    read_case,
)
from immunopath.domain.case import Case
from immunopath.domain.outcome import Abstained, Ok, Outcome, Unavailable
from immunopath.domain.prediction import PhenotypeScores

ALL = (*KEYS, REPORT)
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_every_node_has_a_key_of_its_own_in_the_state() -> None:
    names = [key.name for key in ALL]
    assert len(set(names)) == len(names)
    assert set(names) | {"case", "trace"} == set(CaseState.__annotations__)


def test_only_the_trace_is_shared_so_only_it_has_a_reducer() -> None:
    hints = get_type_hints(CaseState, include_extras=True)
    reduced = [name for name, hint in hints.items() if getattr(hint, "__metadata__", None)]
    assert reduced == ["trace"]
    (add,) = hints["trace"].__metadata__
    assert add([{"a": 1}], [{"b": 2}]) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("key", ALL, ids=lambda key: key.name)
def test_a_key_that_nobody_wrote_reads_as_not_run(key: StateKey[Any]) -> None:
    assert key.read({}) == Unavailable(reason=SKIPPED)
    assert key.value({}) is None


@pytest.mark.parametrize("key", ALL, ids=lambda key: key.name)
@pytest.mark.parametrize("outcome", MISSING, ids=lambda outcome: outcome.status)
def test_a_missing_answer_keeps_its_kind(key: StateKey[Any], outcome: Outcome[Any]) -> None:
    state: Any = {key.name: key.dump(outcome)}
    assert key.read(state) == outcome
    assert type(key.read(state)) is type(outcome)
    assert key.value(state) is None


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_value_comes_back_equal_and_as_plain_data_in_between(key: StateKey[Any]) -> None:
    state = answered()
    plain = state[key.name]  # type: ignore[literal-required]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert key.value(state) is not None
    assert key.dump(key.read(state)) == plain


@few
@given(instances(PhenotypeScores))
def test_any_answer_survives_the_strict_serializer(found: PhenotypeScores) -> None:
    serde = JsonPlusSerializer(allowed_msgpack_modules=[])
    state: Any = {"phenotype": PHENOTYPE.dump(Ok[PhenotypeScores](value=found))}
    back = serde.loads_typed(serde.dumps_typed(state))
    assert back == state
    assert PHENOTYPE.value(back) == found


@pytest.mark.parametrize(
    "plain",
    [{"status": "ok", "value": {"usable": "perhaps"}}, {"status": "great"}, {"value": 1}, []],
    ids=str,
)
def test_a_damaged_state_is_an_error_not_a_guess(plain: Any) -> None:
    with pytest.raises(ValidationError):
        INTAKE.read({"intake": plain})


def test_the_value_of_another_key_does_not_fit() -> None:
    state = answered()
    for other in (state["retrieval"], RETRIEVAL.read(state)):
        with pytest.raises(ValidationError):
            PHENOTYPE.read({"phenotype": other})


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_value_that_never_left_the_process_is_read_as_it_is(key: StateKey[Any]) -> None:
    outcome = key.read(answered())
    state: Any = {key.name: key.kept(outcome, plain=False)}
    assert key.read(state) is outcome
    assert key.kept(outcome, plain=True) == key.dump(outcome)


@few
@given(instances(Case))
def test_the_case_comes_back_as_it_was_asked(case: Case) -> None:
    assert read_case({"case": case.model_dump(mode="json")}) == case


def test_reading_changes_nothing() -> None:
    state = answered()
    before = json.dumps(state, sort_keys=True)
    for key in KEYS:
        key.read(state)
    read_case(state)
    assert json.dumps(state, sort_keys=True) == before


def test_an_abstention_is_not_taken_for_an_absent_engine() -> None:
    """Both hold a reason and nothing else: only the status tells them apart."""
    state: CaseState = asked()
    for outcome in (Abstained(reason="same"), Unavailable(reason="same")):
        state["phenotype"] = PHENOTYPE.dump(outcome)
        assert type(PHENOTYPE.read(state)) is type(outcome)
