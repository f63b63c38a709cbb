"""``immunopath cohort``: from the options to a finished folder, with a progress line."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Literal, Self

import typer

from immunopath.cli.exits import EXIT_SOME_FAILED
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import InputError
from immunopath.domain.words import counted
from immunopath.pipeline.cohort.case_run import CasePlan, Done
from immunopath.pipeline.cohort.cohort import CohortResult, Machines, run_cohort
from immunopath.pipeline.cohort.manifest import ManifestRow, read_manifest
from immunopath.pipeline.settings import Settings
from immunopath.reporting.text import visible

SHOWN = 20


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line."""

    manifest: Path
    out: Path
    as_of: date
    workers: int
    engine: Literal["local", "ray"]
    html: bool
    fhir: bool
    retry_failed: bool
    dry_run: bool
    quiet: bool


def run(asked: Asked, settings: Settings) -> int:
    """Run a cohort; returns 0, or 4 when a case failed (the others are done)."""
    if asked.fhir:
        from immunopath.reporting.fhir import require_fhir

        require_fhir()
    rows = read_manifest(asked.manifest)
    _refuse_mixing(asked)
    bad = [row for row in rows if row.problem]
    _say_bad(bad, len(rows))
    if asked.dry_run:
        return EXIT_SOME_FAILED if bad else 0
    plan = CasePlan(
        asked.out,
        asked.as_of,
        settings.digest(),
        html=asked.html,
        fhir=asked.fhir,
        retry_failed=asked.retry_failed,
    )
    machines = Machines(engine=asked.engine, workers=asked.workers)
    with _Progress(len(rows) - len(bad), quiet=asked.quiet) as progress:
        result = run_cohort(rows, settings, plan, machines, progress.done)
    said = {row.number for row in bad}
    _say_failed([record for record in result.failures if record.row not in said])
    _say_end(result, asked)
    return EXIT_SOME_FAILED if result.failures else 0


def _refuse_mixing(asked: Asked) -> None:
    """The output folder is this command's own: no other files, and not the manifest's."""
    out = asked.out
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; name one for the results")
    if out.is_dir() and any(out.iterdir()) and not (out / "run.json").is_file():
        raise InputError(
            f"{out}: holds other files and no cohort run; name an empty or a new folder"
        )


def _say_bad(bad: list[ManifestRow], n: int) -> None:
    for row in bad[:SHOWN]:
        typer.echo(f"row {row.number}: {visible(row.problem)}", err=True)
    if len(bad) > SHOWN:
        typer.echo(f"… and {counted(len(bad) - SHOWN, 'more bad row')}", err=True)
    typer.echo(f"{counted(n, 'row')}, {len(bad)} of them bad", err=True)


def _say_failed(failed: list[CaseRecord]) -> None:
    for record in failed[:SHOWN]:
        typer.echo(f"failed: {visible(record.case_id)}: {visible(record.reason)}", err=True)
    if len(failed) > SHOWN:
        typer.echo(f"… and {counted(len(failed) - SHOWN, 'more failed case')}", err=True)


def _say_end(result: CohortResult, asked: Asked) -> None:
    by_status: dict[str, int] = {}
    for record in result.records:
        by_status[record.status] = by_status.get(record.status, 0) + 1
    counts = ", ".join(f"{n} {status}" for status, n in sorted(by_status.items()))
    typer.echo(f"{counts}; {result.made} analysed now, {result.resumed} kept from before")
    typer.echo(f"written to {visible(str(asked.out))}: {', '.join(result.tables)}")
    if "cohort.parquet" not in result.tables:
        typer.echo("cohort.parquet was not written: it needs the extra 'cohort'", err=True)


class _Progress:
    """Cases, tiles per second, time left and failures, on a terminal only."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("cases"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f} tiles/s  {task.fields[failed]} failed"),
            Left(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("cases", total=total, rate=0.0, failed=0)
        self._tiles, self._failed = 0, 0

    def __enter__(self) -> Self:
        self._start = perf_counter()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def done(self, done: Done) -> None:
        """Count a case."""
        record: CaseRecord = done.record
        self._tiles += 0 if done.resumed else record.n_tiles
        self._failed += record.status == "failed"
        rate = self._tiles / max(perf_counter() - self._start, 1e-9)
        self._bar.update(self._task, advance=1, rate=rate, failed=self._failed)
