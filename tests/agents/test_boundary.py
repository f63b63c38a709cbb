"""The node boundary: whatever happens inside, one typed outcome comes out and nothing is hidden."""

from threading import Event, current_thread, main_thread

import pytest
from agent_states import answered, context, run, scores
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.agents.boundary import agent
from immunopath.agents.context import RunContext
from immunopath.agents.state import PHENOTYPE, CaseState
from immunopath.domain import errors
from immunopath.domain.outcome import Abstained, Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import PhenotypeScores

Answer = Outcome[PhenotypeScores]


def raising(error: BaseException, *, bounded: bool = True):  # noqa: ANN201 - a node
    @agent(PHENOTYPE, "phenotype", bounded=bounded)
    def body(state: CaseState, ctx: RunContext) -> Answer:
        """Break."""
        raise error

    return body


def returning(outcome: Answer):  # noqa: ANN201 - a node
    @agent(PHENOTYPE, "phenotype")
    def body(state: CaseState, ctx: RunContext) -> Answer:
        """Answer."""
        return outcome

    return body


def outcome_of(node, **changes: object) -> Answer:  # noqa: ANN001
    written, _ = run(node, answered(), context(**changes))
    return PHENOTYPE.read(written)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "outcome",
    [Ok[PhenotypeScores](value=scores()), Abstained(reason="r"), Unavailable(reason="r")],
    ids=lambda outcome: outcome.status,
)
def test_what_the_body_returns_is_written_unchanged(outcome: Answer) -> None:
    assert outcome_of(returning(outcome)) == outcome


@pytest.mark.parametrize(
    "outcome", [Ok[PhenotypeScores](value=scores()), Abstained(reason="r")], ids=lambda o: o.status
)
def test_only_a_state_that_is_checkpointed_is_plain(outcome: Answer) -> None:
    node = returning(outcome)
    kept, _ = run(node, answered(), context(checkpointed=False))
    assert kept["phenotype"] is outcome
    plain, _ = run(node, answered(), context(checkpointed=True))
    assert plain["phenotype"] == PHENOTYPE.dump(outcome)


def test_a_node_writes_its_own_key_and_its_line_in_the_trace() -> None:
    written, _ = run(returning(Abstained(reason="r")), answered(), context())
    assert set(written) == {"phenotype", "trace"}
    assert written["trace"] == [{"agent": "phenotype", "status": "abstained"}]


def test_a_node_keeps_the_name_and_the_words_of_its_body() -> None:
    node = returning(Abstained(reason="r"))
    assert node.__name__ == "phenotype"
    assert node.__doc__ == "Answer."


@pytest.mark.parametrize("limit", [None, 30.0])
@pytest.mark.parametrize("kind", [errors.EngineError, errors.EngineMismatch, errors.KnowledgeError,
                                  errors.ImageReadError])  # fmt: skip
def test_an_error_of_the_tree_keeps_its_name_and_message(
    kind: type[Exception], limit: float | None
) -> None:
    found = outcome_of(raising(kind("core.tif: what\nto do")), engine_timeout_s=limit)
    assert found == Failed(error_id=kind.__name__, message=r"core.tif: what\nto do")


def test_an_engine_that_cannot_run_is_unavailable_not_failed() -> None:
    found = outcome_of(raising(errors.EngineUnavailable("no weights\there")))
    assert found == Unavailable(reason=r"no weights\there")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=700))
def test_any_other_error_is_one_short_printable_line(text: str) -> None:
    found = outcome_of(raising(ValueError(text)))
    assert isinstance(found, Failed)
    assert found.error_id == "ValueError"
    assert found.message.isprintable()
    assert len(found.message) <= 500
    words = text.split()
    if words and words[0].isprintable():
        assert found.message.startswith(words[0][:500])


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("x"), MemoryError("x"), RecursionError("x"), StopIteration("x"),
     KeyError("x"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), AssertionError("x")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_the_error_id_is_the_class_so_that_runs_can_be_counted(error: Exception) -> None:
    found = outcome_of(raising(error))
    assert isinstance(found, Failed)
    assert found.error_id == type(error).__name__
    assert "x" in found.message


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even a message")


@pytest.mark.parametrize("limit", [None, 30.0])
def test_an_error_without_a_message_of_its_own_is_still_an_outcome(limit: float | None) -> None:
    found = outcome_of(raising(Unprintable()), engine_timeout_s=limit)
    assert isinstance(found, Failed)
    assert found.error_id == "Unprintable"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_a_user_who_stops_the_run_is_obeyed(error: BaseException) -> None:
    with pytest.raises(type(error)):
        outcome_of(raising(error))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_ends_its_thread_did_not_take_too_long() -> None:
    found = outcome_of(raising(SystemExit(1)), engine_timeout_s=30.0)
    assert isinstance(found, Failed)
    assert found.error_id == "EngineStopped"


def test_a_slow_engine_is_left_behind_with_the_limit_named() -> None:
    released = Event()

    @agent(PHENOTYPE, "phenotype")
    def waits(state: CaseState, ctx: RunContext) -> Answer:
        released.wait(60)
        return Ok[PhenotypeScores](value=scores())

    try:
        found = outcome_of(waits, engine_timeout_s=0.02)
    finally:
        released.set()
    assert found == Failed(error_id="EngineTimeout", message="no answer within 0.02 s")


def test_only_engines_are_timed() -> None:
    """Intake and the rules are ours: they run where they are called, whatever the limit."""
    threads = []

    def body(state: CaseState, ctx: RunContext) -> Answer:
        threads.append(current_thread() is main_thread())
        return Abstained(reason="r")

    for bounded in (True, False):
        node = agent(PHENOTYPE, "phenotype", bounded=bounded)(body)
        outcome_of(node, engine_timeout_s=30.0)
    outcome_of(agent(PHENOTYPE, "phenotype")(body))
    assert threads == [False, True, True]


def test_events_come_in_order_and_carry_the_time() -> None:
    _, events = run(returning(Abstained(reason="r")), answered(), context())
    assert [event["event"] for event in events] == ["started", "finished"]
    assert {event["agent"] for event in events} == {"phenotype"}
    assert events[1]["status"] == "abstained"
    assert events[1]["ms"] >= 0


def test_the_end_is_told_even_when_the_body_broke() -> None:
    _, events = run(raising(ValueError("x")), answered(), context())
    assert [event["event"] for event in events] == ["started", "finished"]
    assert events[1]["status"] == "failed"


def test_no_time_enters_the_state() -> None:
    node = returning(Abstained(reason="r"))
    first, second = (run(node, answered(), context())[0] for _ in range(2))
    assert first == second
    assert "ms" not in str(first)
