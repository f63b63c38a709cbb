"""The dense pass of a case that asks for one: planned before the graph runs, done after it.

It stands beside the graph and not in it: no agent reads it, so it can change no estimate, no
adjudication and no guidance.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from immunopath.domain.case import Case
from immunopath.domain.errors import HeatTooLarge, ImmunoPathError
from immunopath.domain.heat import HeatReport
from immunopath.imaging.slides.reading import Readers
from immunopath.models.embedded.dense import Progress, run_dense
from immunopath.models.embedded.dense_plan import DensePlan, plan_dense
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.pipeline.settings import Settings

Event = dict[str, Any]
STEPS: Final = 200
"""Progress events of a slide at most, after the first one."""

WORTH_PROCESSES: Final = 200
"""With fewer tiles the start of the processes takes longer than the counting."""


@dataclass(frozen=True)
class CaseHeat:
    """What the pass found: the block of the report, and the squares of each slide for maps."""

    report: HeatReport
    slides: tuple[DenseSlide, ...]


def plan_heat(case: Case, settings: Settings) -> tuple[DensePlan, ...]:
    """Return what a dense pass will read; nothing when the settings ask for none.

    Raises `HeatTooLarge` beyond `Settings.heat_tiles`, `ImageReadError` and `ResolutionError`.
    """
    if not settings.heat:
        return ()
    plans = tuple(plan_dense(path, case.mpp) for path in case.images)
    total = sum(len(plan.plan.candidates) for plan in plans)
    if total > settings.heat_tiles:
        names = ", ".join(plan.name for plan in plans)
        raise HeatTooLarge(
            f"{names}: {total:,} tiles with tissue are more than the {settings.heat_tiles:,} that "
            "a dense pass may read; raise --heat-tiles (heat_tiles), or leave the heat out"
        )
    return plans


def run_heat(
    plans: tuple[DensePlan, ...], workers: int, sink: Callable[[Event], None] | None
) -> CaseHeat | None:
    """Read and count every slide; None without plans. A slide that breaks off is a note.

    workers: processes that do it, 0 = this thread, which also does what is small. sink: gets start,
    progress and end, with the seconds that went to reading and to computing.
    """
    if not plans:
        return None
    tell = sink or (lambda _: None)
    tell({"event": "started", "agent": "heat"})
    started, slides, notes = perf_counter(), list[DenseSlide](), list[str]()
    total = sum(len(plan.plan.candidates) for plan in plans)
    with _readers(workers if total >= WORTH_PROCESSES else 0) as readers:
        for plan in plans:
            tell(_told(Progress(plan.name, 0, len(plan.plan.candidates), 0.0, 0.0)))
            try:
                slides.append(run_dense(plan, readers, _steps(tell), perf_counter))
            except ImmunoPathError as error:
                notes.append(f"{plan.name}: no heat, the slide could not be read through: {error}")
    ms = round((perf_counter() - started) * 1000, 3)
    status = "failed" if notes else "ok"
    tell({"event": "finished", "agent": "heat", "status": status, "ms": ms})
    report = HeatReport(slides=tuple(s.summary for s in slides), notes=tuple(notes))
    return CaseHeat(report, tuple(slides))


@contextmanager
def _readers(workers: int) -> Iterator[Readers | None]:
    if not workers:
        yield None
        return
    with Readers(workers) as readers:
        yield readers


def _steps(tell: Callable[[Event], None]) -> Callable[[Progress], None]:
    """Return a watch that tells of at most `STEPS` steps of a slide."""
    last = -1

    def watch(seen: Progress) -> None:
        nonlocal last
        step = seen.done * STEPS // max(seen.total, 1)
        if step > last:
            last = step
            tell(_told(seen))

    return watch


def _told(seen: Progress) -> Event:
    return {
        "event": "progress",
        "agent": "heat",
        "slide": seen.slide,
        "done": seen.done,
        "total": seen.total,
        "read_s": seen.read_s,
        "work_s": seen.work_s,
    }
