"""The desk where runs wait, work and are kept: one at a time, each seen by its own session only."""

import logging
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from time import monotonic
from typing import Any, Final, Literal

from immunopath.app.engines import EnginePool
from immunopath.app.uploads import Limits, UploadFolder
from immunopath.domain.case import Case
from immunopath.domain.errors import ImmunoPathError, UnexpectedFault
from immunopath.pipeline.faults import faults_told
from immunopath.pipeline.settings import Settings
from immunopath.reporting.rendered import RenderedReport

State = Literal["waiting", "running", "done", "failed"]
LOG: Final = logging.getLogger("immunopath.app")


class DeskFull(ImmunoPathError):
    """As many runs wait as may wait."""


@dataclass(frozen=True)
class Job:
    """All that one run needs; its folder is deleted when the run is over."""

    case: Case
    settings: Settings
    as_of: date
    folder: UploadFolder


@dataclass
class Run:
    """One run. events: those of the graph, in order; error: one line when it failed."""

    id: str
    session: str
    case_id: str
    state: State = "waiting"
    events: list[dict[str, Any]] = field(default_factory=list)
    report: RenderedReport | None = None
    error: str = ""
    ended: float | None = None


class RunDesk:
    """Runs of all sessions. A run id is of no use without the session that made it."""

    def __init__(
        self, engines: EnginePool, limits: Limits, clock: Callable[[], float] = monotonic
    ) -> None:
        self._engines, self._limits, self._clock = engines, limits, clock
        self._runs: dict[str, Run] = {}
        self._places = 0
        self._lock = Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue while a request is read; raises `DeskFull`."""
        with self._lock:
            waiting = sum(run.state == "waiting" for run in self._runs.values())
            if self._places + waiting >= self._limits.max_waiting:
                raise DeskFull("too many cases are waiting already; try again in a minute")
            self._places += 1
        try:
            yield
        finally:
            with self._lock:
                self._places -= 1

    def submit(self, session: str, job: Job) -> Run:
        """Queue a job and return its run."""
        run = Run(secrets.token_urlsafe(16), session, job.case.case_id)
        with self._lock:
            self._drop_old()
            self._runs[run.id] = run
        self._worker.submit(self._work, run, job)
        return run

    def find(self, session: str, run_id: str) -> Run | None:
        """Return the run if this session made it and it is still kept."""
        with self._lock:
            self._drop_old()
            run = self._runs.get(run_id)
        return run if run and secrets.compare_digest(run.session, session) else None

    def ahead(self, run: Run) -> int:
        """Return how many unfinished runs come before this one."""
        with self._lock:
            order = [r.id for r in self._runs.values() if r.state in {"waiting", "running"}]
        return order.index(run.id) if run.id in order else 0

    def forget(self, run: Run) -> None:
        """Drop a finished run and its report."""
        with self._lock:
            if run.ended is not None:
                self._runs.pop(run.id, None)

    def sweep(self) -> None:
        """Drop the reports whose time is over."""
        with self._lock:
            self._drop_old()

    def close(self) -> None:
        """Wait for the run at work, cancel the others, let the engines go."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._runs.clear()
        self._engines.close()

    def _drop_old(self) -> None:
        ended = [run for run in self._runs.values() if run.ended is not None]
        now = self._clock()
        old = [
            run for run in ended if run.ended is not None and now - run.ended > self._limits.keep_s
        ]
        many = ended[: max(0, len(ended) - self._limits.max_kept)]
        for run in (*old, *many):
            self._runs.pop(run.id, None)

    def _work(self, run: Run, job: Job) -> None:
        try:
            run.state = "running"
            with faults_told():
                engines = self._engines.get(job.settings)
                run.report = engines.analyze(job.case, as_of=job.as_of, on_event=run.events.append)
            outcome: State = "done"
        except ImmunoPathError as error:
            if isinstance(error, UnexpectedFault):
                LOG.exception("a run failed")
            run.error, outcome = job.folder.told(str(error)), "failed"
        finally:
            job.folder.discard()
        run.ended = self._clock()
        run.state = outcome
