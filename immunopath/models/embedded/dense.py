"""The embedded predictor's counts over a whole slide, every tissue tile once.

First a look at a few windows, for the stain of the slide (`dense_stain`); then cell by cell (see
`dense_cell`), in this process or in several, in an order that is always the same. What stays in
memory is a few numbers per tile. The result does not depend on the number of processes, nor on any
clock.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.mask import TissueMask
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.reading import Readers
from immunopath.models.embedded.dense_cell import CellCounts, CellJob, count_cell, count_on
from immunopath.models.embedded.dense_layout import PER_CELL, Square
from immunopath.models.embedded.dense_plan import RULES, DensePlan
from immunopath.models.embedded.dense_stain import look_at_slide
from immunopath.models.embedded.dense_sums import DenseSlide, Sums
from immunopath.models.embedded.density import F32, Workspace


@dataclass(frozen=True)
class Progress:
    """How far a slide is: tiles done of how many, seconds of reading and of computing so far."""

    slide: str
    done: int
    total: int
    read_s: float
    work_s: float


def run_dense(
    plan: DensePlan,
    readers: Readers | None = None,
    watch: Callable[[Progress], None] | None = None,
    clock: Callable[[], float] | None = None,
) -> DenseSlide:
    """Read and count all tiles; raises `ImageReadError` for a damaged slide.

    readers: processes that do it, None = this thread; watch: told after each cell, for which
    `clock` measures.
    """
    white, gain = look_at_slide(plan)
    jobs = _jobs(plan, white, gain, clock)
    sums = Sums()
    total = len(plan.plan.candidates)
    for found in _here(plan, jobs) if readers is None else readers.each(count_cell, jobs):
        sums.add(found)
        if watch is not None:
            watch(Progress(plan.name, len(sums.tiles), total, sums.read_s, sums.work_s))
    return sums.slide(plan, gain)


def _here(plan: DensePlan, jobs: Sequence[CellJob]) -> Iterator[CellCounts]:
    work = Workspace()
    with open_slide(plan.path, plan.stated_mpp) as slide:
        for job in jobs:
            yield count_on(slide, job, work)


def _jobs(
    plan: DensePlan, white: F32, gain: float, clock: Callable[[], float] | None
) -> list[CellJob]:
    """Return one job per cell with tissue, row by row."""
    cells: dict[Square, list[GridTile]] = {}
    for place in plan.plan.candidates:
        cells.setdefault((place.column // PER_CELL, place.row // PER_CELL), []).append(place)
    light = _without_maps(plan.plan.mask)
    return [
        CellJob(
            path=plan.path,
            stated_mpp=plan.stated_mpp,
            rules=RULES,
            mask=light,
            bounds=plan.bounds,
            cell=cell,
            places=tuple(cells[cell]),
            white=white,
            gain=gain,
            clock=clock,
        )
        for cell in sorted(cells, key=lambda c: (c[1], c[0]))
    ]


def _without_maps(mask: TissueMask) -> TissueMask:
    """Return what judging a tile needs: it travels to the processes with every job."""
    nothing = np.zeros((0, 0), np.uint8)
    return replace(mask, kinds=nothing, rgb=np.zeros((0, 0, 3), np.uint8))
