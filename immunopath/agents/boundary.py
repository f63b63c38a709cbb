"""The node boundary: turns an agent's body into an outcome, whatever happens inside.

This is the only place of the graph with a broad ``except``. LangGraph's own error handler is not
used: on some releases it re-raises when a sibling shares the superstep.
"""

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, TypeVar

from langgraph.runtime import Runtime

from immunopath.agents.context import RunContext
from immunopath.agents.state import CaseState, StateKey
from immunopath.domain.errors import EngineUnavailable, ImmunoPathError
from immunopath.domain.outcome import Failed, Outcome, Unavailable

TIMED_OUT: Final = "EngineTimeout"

T = TypeVar("T")
Body = Callable[[CaseState, RunContext], Outcome[T]]
Node = Callable[[CaseState, Runtime[RunContext]], dict[str, Any]]


def agent(key: StateKey[T], name: str, *, bounded: bool = True) -> Callable[[Body[T]], Node]:
    """Make a graph node called `name` that writes `key`, out of a body that may raise anything.

    `EngineUnavailable` becomes `Unavailable`, every other exception `Failed` with the class name
    as its stable id. Start, end and duration go to the event stream, never into the state.
    """

    def decorate(body: Body[T]) -> Node:
        def node(state: CaseState, runtime: Runtime[RunContext]) -> dict[str, Any]:
            context = runtime.context
            limit = context.engine_timeout_s if bounded else None
            runtime.stream_writer({"event": "started", "agent": name})
            started = perf_counter()
            outcome = _bounded(lambda: _run(body, state, context), limit)
            runtime.stream_writer(
                {
                    "event": "finished",
                    "agent": name,
                    "status": outcome.status,
                    "ms": round((perf_counter() - started) * 1000, 3),
                }
            )
            return {
                key.name: key.kept(outcome, plain=context.checkpointed),
                "trace": [{"agent": name, "status": outcome.status}],
            }

        node.__name__ = name
        node.__doc__ = body.__doc__
        return node

    return decorate


def _run(body: Body[T], state: CaseState, context: RunContext) -> Outcome[T]:
    try:
        return body(state, context)
    except EngineUnavailable as error:
        return Unavailable(reason=str(error))
    except ImmunoPathError as error:
        return Failed(error_id=type(error).__name__, message=str(error))
    except Exception as error:  # noqa: BLE001 - the boundary: one case never stops the others
        return Failed(error_id=type(error).__name__, message=_one_line(error))


def _bounded(call: Callable[[], Outcome[T]], limit_s: float | None) -> Outcome[T]:
    """Run `call`, giving up after `limit_s`: its thread cannot be killed and is left behind."""
    if limit_s is None:
        return call()
    answers: list[Outcome[T]] = []
    worker = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    worker.start()
    worker.join(limit_s)
    late = worker.is_alive()
    if answers:
        return answers[0]
    if late:
        return Failed(error_id=TIMED_OUT, message=f"no answer within {limit_s:g} s")
    return Failed(error_id="EngineStopped", message="the engine ended without an answer")


def _one_line(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error may be too broken to describe itself
        text = "its message cannot be read"
    return str(ImmunoPathError(" ".join(text.split())))[:500]
