"""A cohort from its manifest to its tables; killed at any moment, it goes on where it was."""

import errno
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Self

from immunopath import __version__
from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import InputError, OutputError
from immunopath.domain.files import open_to_append, refuse_links, sweep, write_text
from immunopath.pipeline.cohort.case_run import CasePlan, Done
from immunopath.pipeline.cohort.local import EngineFactory, run_here, run_workers
from immunopath.pipeline.cohort.manifest import ManifestRow
from immunopath.pipeline.cohort.store import FOLDERS, ResultStore
from immunopath.pipeline.settings import Settings
from immunopath.pipeline.usable import files_digest, require_usable
from immunopath.reporting.cohort_page import write_pages
from immunopath.reporting.cohort_tables import worklist, write_tables

EngineName = Literal["local", "ray"]
Sink = Callable[[Done], None]


@dataclass(frozen=True)
class Machines:
    """Where cases run. engines: those of this process, used by one local worker."""

    engine: EngineName = "local"
    workers: int = 1
    engines: EngineFactory | None = None

    def require(self) -> None:
        """Raise `InputError` for less than one worker, `EngineUnavailable` without Ray."""
        if self.workers < 1:
            raise InputError(f"workers: {self.workers} is no number of processes")
        if self.engine == "ray":
            from immunopath.pipeline.cohort.ray_engine import require_ray

            require_ray()

    def stream(
        self, settings: Settings, jobs: Sequence[tuple[int, Case]], plan: CasePlan
    ) -> Iterator[Done]:
        """Yield every case as it is done; call `require` before."""
        if self.engine == "ray":
            from immunopath.pipeline.cohort.ray_engine import run_ray

            return run_ray(settings, jobs, plan, self.workers)
        if self.workers == 1 and self.engines is not None:
            return run_here(self.engines, jobs, plan)
        return run_workers(settings, jobs, plan, self.workers)


@dataclass(frozen=True)
class CohortResult:
    """All records in the order of the manifest, and what this run did.

    made, resumed: cases analysed now and taken from the store; tables: files below the folder.
    """

    records: tuple[CaseRecord, ...]
    made: int
    resumed: int
    tables: tuple[str, ...]

    @property
    def failures(self) -> tuple[CaseRecord, ...]:
        """The cases without a report."""
        return tuple(record for record in self.records if record.status == "failed")


def run_cohort(
    rows: Sequence[ManifestRow],
    settings: Settings,
    plan: CasePlan,
    machines: Machines,
    on_done: Sink | None = None,
) -> CohortResult:
    """Run every good row and write the tables; see `docs/outputs.md` for the files.

    Raises `OutputError` when another run works in the folder, or when a link in it leads elsewhere,
    and as `require_usable` does before the first case.
    """
    require_usable(settings)
    machines.require()
    plan = replace(plan, engine_files=files_digest(settings))
    started = perf_counter()
    jobs = [(row.number, row.case) for row in rows if row.case is not None]
    made = resumed = 0
    with _locked(plan.out), _Log(plan.out, settings, plan, machines) as log:
        refuse_links(plan.out, *FOLDERS)
        sweep(plan.out)
        log.manifest("running")
        for done in machines.stream(settings, jobs, plan):
            made, resumed = made + (not done.resumed), resumed + done.resumed
            log.event(done, perf_counter() - started)
            if on_done is not None:
                on_done(done)
        records = tuple(_records(rows, ResultStore(plan.out)))
        lines = worklist(records, plan.as_of)
        tables = write_tables(plan.out, records, lines)
        tables += write_pages(plan.out, records, lines, plan.as_of)
        log.manifest("finished", round(perf_counter() - started, 3))
    return CohortResult(records, made, resumed, tuple(tables))


def _records(rows: Sequence[ManifestRow], store: ResultStore) -> Iterator[CaseRecord]:
    """Yield one record per row: from the store, or of what is wrong with the row."""
    for row in rows:
        found = store.record(row.case_id) if row.case is not None else None
        if found is not None:
            yield found.model_copy(update={"row": row.number})
        else:
            reason = row.problem or "not done: the run was stopped before this case"
            case_id = row.case_id or f"row {row.number}"
            yield CaseRecord(case_id=case_id, row=row.number, status="failed", reason=reason)


def _reason(error: OSError) -> str:
    return "is a link" if error.errno == errno.ELOOP else error.strerror or str(error)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder for one run; the lock goes with the process, however it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        stream = open_to_append(out / ".lock")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({_reason(error)})") from error
    with stream:
        try:
            import fcntl
        except ModuleNotFoundError:  # pragma: no cover - Windows has no fcntl
            yield
            return
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{out}: another run is working in this folder") from error
        yield


class _Log:
    """``events.jsonl`` and ``run.json``: times, host, arguments. Nothing of a result is there."""

    def __init__(self, out: Path, settings: Settings, plan: CasePlan, machines: Machines) -> None:
        self._out = out
        self._content: dict[str, Any] = {
            "package_version": __version__,
            "configuration_digest": plan.configuration,
            "settings": settings.model_dump(mode="json"),
            "as_of": plan.as_of.isoformat(),
            "html": plan.html,
            "fhir": plan.fhir,
            "engine": machines.engine,
            "workers": machines.workers,
            "arguments": sys.argv[1:],
            "host": platform.node(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
        }

    def __enter__(self) -> Self:
        path = self._out / "events.jsonl"
        try:
            self._stream = open_to_append(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def event(self, done: Done, seconds: float) -> None:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "since_start_s": round(seconds, 3),
            "case_id": done.record.case_id,
            "status": done.record.status,
            "resumed": done.resumed,
        }
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def manifest(self, state: str, seconds: float | None = None) -> None:
        content = {"state": state, **self._content, "seconds": seconds}
        write_text(self._out / "run.json", json.dumps(content, indent=2) + "\n")
