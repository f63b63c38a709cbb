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

    def add(name: str, start: float, end: float) -> None:
        spent[name] += (end - start) * 1000

    with _bodies_timed(thread_time, add):
        yield spent


@contextmanager
def body_spans() -> Iterator[list[tuple[float, float]]]:
    """List when each body began and ended (`perf_counter`), until the list is cleared."""
    spans: list[tuple[float, float]] = []
    with _bodies_timed(perf_counter, lambda _, start, end: spans.append((start, end))):
        yield spans


@contextmanager
def _bodies_timed(
    clock: Callable[[], float], note: Callable[[str, float, float], None]
) -> Iterator[None]:
    """Tell `note` the name, start and end of every agent's body, also of one that raises."""
    run = boundary._run

    def timed(
        body: Callable[..., Outcome[Any]], state: CaseState, context: RunContext
    ) -> Outcome[Any]:
        start = clock()
        try:
            return run(body, state, context)
        finally:
            note(body.__name__, start, clock())

    boundary._run = timed
    try:
        yield
    finally:
        boundary._run = run


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the milliseconds in which at least one body ran."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total * 1000
