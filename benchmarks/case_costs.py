"""What a case of a cohort costs beside its agents: processor and wall time by part, and memory.

Overhead is all of `run_case` outside the agents' bodies, pages apart: the graph, the key of the
case, the record that is looked for, the report's text and its file, the record that is written. The
bodies count as the case's work, the guideline's rules and the reporter's among them. Every case is
new to its folder, as in a first run.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time
from typing import Any, Final

import cv2
from agent_clock import body_clock, body_spans, covered
from cohort_cases import sixteen_patches

from immunopath.domain.case import Case
from immunopath.pipeline.cohort import case_run
from immunopath.pipeline.cohort.case_run import CasePlan, Done, run_case
from immunopath.pipeline.cohort.cohort import Machines, run_cohort
from immunopath.pipeline.cohort.manifest import rows_of
from immunopath.pipeline.cohort.store import ResultStore
from immunopath.pipeline.run import ImmunoPath
from immunopath.reporting.rendered import RenderedReport

AS_OF: Final = date(2026, 11, 24)
MARKS: Final = (100, 1000, 2500, 5000)
PARTS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("record_looked_for", ResultStore, "record"),
    ("key", case_run, "case_key"),
    ("graph_and_bodies", ImmunoPath, "analyze"),
    ("files", ResultStore, "write_report"),
    ("json_text", RenderedReport, "to_json"),
    ("record", case_run, "record_of"),
    ("record", ResultStore, "write_record"),
)
"""Name, where it is and the function. ``json_text`` runs inside ``files``."""


@contextmanager
def part_clock() -> Iterator[dict[str, float]]:
    """Add up the milliseconds of each part, processor time of the calling thread."""
    spent: dict[str, float] = defaultdict(float)
    before = [(owner, name, getattr(owner, name)) for _, owner, name in PARTS]
    for (part, owner, name), (_, _, inner) in zip(PARTS, before, strict=True):
        setattr(owner, name, _timed(inner, part, spent))
    try:
        yield spent
    finally:
        for owner, name, inner in before:
            setattr(owner, name, inner)


def _timed(inner: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        start = thread_time()
        try:
            return inner(*args, **named)
        finally:
            spent[part] += (thread_time() - start) * 1000

    return timed


def overhead(folder: Path, repeats: int) -> dict[str, Any]:
    """Return milliseconds of a 16-patch case and of it those outside the agents' bodies, by part.

    The figures are of the repeat with the least overhead, other work on the machine being what
    adds to it; ``overhead_ms_median`` is the middle one.
    """
    # Threads of OpenCV would count as time outside the bodies, which are timed by their own thread.
    cv2.setNumThreads(1)
    case, runs = sixteen_patches(folder), []
    with (
        body_clock() as bodies, body_spans() as spans, part_clock() as parts, ImmunoPath() as path,
    ):  # fmt: skip
        for n in range(repeats + 1):
            for clock in (bodies, spans, parts):
                clock.clear()  # type: ignore[attr-defined]
            wall, start = perf_counter(), process_time()
            plan = CasePlan(folder / f"over {n}", AS_OF, "c", html=False)
            run_case(lambda: path, case, n, plan)
            cpu, wall = (process_time() - start) * 1000, (perf_counter() - wall) * 1000
            outside = cpu - sum(bodies.values())
            runs.append((outside, cpu, wall - covered(spans), dict(parts)))
    runs = runs[1:]  # the first loads the engines
    least = min(runs, key=lambda run: run[0])
    return {
        "case_16_patches_ms": round(least[1], 1),
        "overhead_ms": round(least[0], 1),
        "overhead_ms_median": round(median(run[0] for run in runs), 1),
        "overhead_wall_ms": round(min(run[2] for run in runs), 1),
        "overhead_share": round(least[0] / least[1], 4),
        "overhead_parts_ms": _shares(least[0], least[3]),
    }


def _shares(outside: float, parts: dict[str, float]) -> dict[str, float]:
    """Return the parts of the overhead; the graph is what none of the others is."""
    found = {name: parts[name] for name in ("record_looked_for", "key", "json_text", "record")}
    found["file"] = parts["files"] - parts["json_text"]
    found["graph"] = outside - sum(found.values())
    return {name: round(ms, 1) for name, ms in found.items()}


def memory(folder: Path, cases: int) -> dict[str, float]:
    """Return the memory of one process that runs a cohort of one-patch cases, in MB.

    Resident after so many cases, with nothing collected before the reading, then after the tables
    and at its highest.
    """
    whole = sixteen_patches(folder)
    given = [
        Case(case_id=f"case {n}", images=(whole.images[n % len(whole.images)],), mpp=whole.mpp)
        for n in range(cases)
    ]
    found, count = {}, 0
    marks = {mark for mark in MARKS if mark < cases} | {cases}

    def done(_: Done) -> None:
        nonlocal count
        count += 1
        if count in marks:
            found[f"rss_mb_after_{count}"] = resident("VmRSS")

    with ImmunoPath() as path:
        plan = CasePlan(folder / "many", AS_OF, "c", html=False)
        machines = Machines(engines=lambda: path)
        run_cohort(rows_of(given), path.settings, plan, machines, done)
    return found | {"rss_mb_after_tables": resident("VmRSS"), "peak_mb": resident("VmHWM")}


def resident(key: str) -> float:
    """Return a line of ``/proc/self/status`` (Linux) in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{key}:"))
    return round(int(line.split()[1]) / 1024, 1)
