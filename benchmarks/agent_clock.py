"""How long the bodies of the agents run inside the graph, for the benchmarks of its overhead."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Any

from immunopath.agents import boundary
from immunopath.agents.context import RunContext
from immunopath.agents.state import CaseState
from immunopath.domain.outcome import Outcome


@contextmanager
def body_clock() -> Iterator[dict[str, float]]:
    """Add up the milliseconds of each agent's body, by the body's name, until they are cleared.

    Processor time of the body's own thread: what it starts elsewhere is not its time.
    """
    spent: dict[str, float] = defaultdict(float)
    run = boundary._run

    def timed(
        body: Callable[..., Outcome[Any]], state: CaseState, context: RunContext
    ) -> Outcome[Any]:
        start = thread_time()
        try:
            return run(body, state, context)
        finally:
            spent[body.__name__] += (thread_time() - start) * 1000

    boundary._run = timed
    try:
        yield spent
    finally:
        boundary._run = run


@contextmanager
def body_spans() -> Iterator[list[tuple[float, float]]]:
    """List when each body began and ended (`perf_counter`), until the list is cleared."""
    spans: list[tuple[float, float]] = []
    run = boundary._run

    def noted(
        body: Callable[..., Outcome[Any]], state: CaseState, context: RunContext
    ) -> Outcome[Any]:
        start = perf_counter()
        try:
            return run(body, state, context)
        finally:
            spans.append((start, perf_counter()))

    boundary._run = noted
    try:
        yield spans
    finally:
        boundary._run = run


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the milliseconds in which at least one body ran."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total * 1000
