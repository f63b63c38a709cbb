"""Cases on this machine: in this process, or in several that each hold the engines.

Workers are started fresh (never forked: torch and OpenMP do not survive it). A worker that dies,
for want of memory say, takes the cases in flight with it; each of them is then tried once more in
a process of its own, and only one that dies again is recorded as failed.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from immunopath.domain.case import Case
from immunopath.domain.workers import end_with_parent
from immunopath.pipeline.cohort.case_run import Analyzer, CasePlan, Done, run_case
from immunopath.pipeline.cohort.record import failure_of
from immunopath.pipeline.cohort.store import ResultStore
from immunopath.pipeline.settings import Settings

DIED = "the worker process died on this case twice (out of memory?); run it alone to see why"
AHEAD = 2
"""Cases handed out per worker, so that none waits for the next."""

Job = tuple[int, Case]
EngineFactory = Callable[[], Analyzer]


def run_here(engines: EngineFactory, jobs: Sequence[Job], plan: CasePlan) -> Iterator[Done]:
    """Yield every case as it is done, one after the other, in this process."""
    for row, case in jobs:
        yield run_case(engines, case, row, plan)


def run_workers(
    settings: Settings, jobs: Sequence[Job], plan: CasePlan, workers: int
) -> Iterator[Done]:
    """Yield every case as it is done, in whatever order, by `workers` processes."""
    waiting = deque(jobs)
    while waiting:
        suspects: list[Job] = []
        with _pool(settings, workers) as pool:
            yield from _drain(pool, waiting, plan, workers, suspects)
        for row, case in suspects:
            yield _alone(settings, row, case, plan)


def _drain(
    pool: ProcessPoolExecutor,
    waiting: deque[Job],
    plan: CasePlan,
    workers: int,
    suspects: list[Job],
) -> Iterator[Done]:
    """Work off `waiting`; when a worker dies, leave the cases in flight in `suspects`."""
    flying: dict[Future[Done], Job] = {}
    while waiting or flying:
        while waiting and len(flying) < AHEAD * workers:
            job = waiting.popleft()
            try:
                flying[_hand_out(pool, job, plan)] = job
            except BrokenProcessPool:
                waiting.appendleft(job)
                if not flying:  # it died between two cases: nobody is suspect, a new pool goes on
                    return
                break
        done, _ = wait(flying, return_when=FIRST_COMPLETED)
        broken = False
        for future in done:
            job = flying.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool:
                suspects.append(job)
                broken = True
        if broken:
            suspects += flying.values()
            return


def _alone(settings: Settings, row: int, case: Case, plan: CasePlan) -> Done:
    try:
        with _pool(settings, 1) as pool:
            return _hand_out(pool, (row, case), plan).result()
    except BrokenProcessPool:
        record = failure_of(case, row=row, key="", reason=DIED)
        ResultStore(plan.out).write_record(record)
        return Done(record, resumed=False)


def _pool(settings: Settings, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start_worker,
        initargs=(settings, max(1, (os.cpu_count() or 1) // workers)),
    )


class _Worker:
    """The engines of a worker process, made when its first case needs them."""

    settings: Settings
    engines: Any = None

    @classmethod
    def get(cls) -> Analyzer:
        """Return this process's engines."""
        from immunopath.pipeline.run import ImmunoPath

        if cls.engines is None:
            cls.engines = ImmunoPath(settings=cls.settings)
        engines: Analyzer = cls.engines
        return engines


def start_worker(settings: Settings, threads: int) -> None:
    """Make this process a worker: its engines are built when its first case needs them."""
    end_with_parent()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    import cv2

    cv2.setNumThreads(threads)
    _Worker.settings = settings


def _hand_out(pool: ProcessPoolExecutor, job: Job, plan: CasePlan) -> Future[Done]:
    # As JSON: pickle does not find the classes that pydantic makes of a generic one.
    row, case = job
    return pool.submit(work, row, case.model_dump_json(), plan)


def work(row: int, case: str, plan: CasePlan) -> Done:
    """Run a case given as JSON with the engines of this process, see `start_worker`."""
    return run_case(_Worker.get, Case.model_validate_json(case), row, plan)
