"""Many cases through the same graph: one file each, failures recorded, a worklist at the end.

A thin form: cases run one after the other and are written as they finish. Resume, workers and the
tidy tables come with the cohort command.
"""

import csv
import io
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Protocol

from immunopath.domain.base import Frozen
from immunopath.domain.case import Case
from immunopath.domain.errors import ImmunoPathError, InputError
from immunopath.domain.files import safe_name, write_text
from immunopath.domain.outcome import Ok
from immunopath.guidelines.triage import QueueItem, order_cohort
from immunopath.reporting.rendered import RenderedReport


class Analyzer(Protocol):
    """What a cohort needs: one case in, one report out."""

    def analyze(self, case: Case, *, as_of: date | None = None) -> RenderedReport:
        """Return the report of a case; raises `ImmunoPathError`."""


class CohortRow(Frozen):
    """How one case ended."""

    case_id: str
    status: str
    """``ok``, ``partial``, ``refused`` or ``failed``."""
    reason: str = ""
    file: str | None = None
    """Report below the output folder; None when the case failed."""
    category: str | None = None
    triage_level: str | None = None
    rank: int | None = None
    """Place in the laboratory queue, 1 first; None when no test is outstanding."""


class CohortResult(Frozen):
    """All rows, in the order in which the cases were given."""

    rows: tuple[CohortRow, ...]

    @property
    def failures(self) -> tuple[CohortRow, ...]:
        """The cases without a report."""
        return tuple(row for row in self.rows if row.status == "failed")


def run_cohort(engines: Analyzer, cases: Iterable[Case], out: Path, as_of: date) -> CohortResult:
    """Analyse `cases` and write ``cases/*.json``, ``cohort.json`` and ``worklist.csv`` to `out`.

    A case that cannot be read is a row with its reason and stops nothing. Two cases with the same
    id are an `InputError` before any work: one would overwrite the other. The worklist ranks by
    measured and clinical facts only (`guidelines.md` 3.3): no engine's trust gate is open.
    """
    listed = tuple(cases)
    ids = [case.case_id for case in listed]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise InputError(f"case id {twice[0]!r} appears more than once in the cohort")
    rows, queue = [], []
    for case in listed:
        row, item = _run_one(engines, case, out, as_of)
        rows.append(row)
        if item is not None:
            queue.append(item)
    ranks = {item.case_id: n for n, item in enumerate(order_cohort(queue, as_of=as_of), 1)}
    ranked = tuple(row.model_copy(update={"rank": ranks.get(row.case_id)}) for row in rows)
    result = CohortResult(rows=ranked)
    write_text(out / "cohort.json", json.dumps(result.model_dump(mode="json"), indent=2) + "\n")
    write_text(out / "worklist.csv", _worklist(ranked))
    return result


def _run_one(
    engines: Analyzer, case: Case, out: Path, as_of: date
) -> tuple[CohortRow, QueueItem | None]:
    try:
        report = engines.analyze(case, as_of=as_of)
    except ImmunoPathError as error:
        return CohortRow(case_id=case.case_id, status="failed", reason=str(error)), None
    name = f"cases/{safe_name(case.case_id)}.json"
    report.to_json(out / name)
    guidance = report.guidance.value if isinstance(report.guidance, Ok) else None
    row = CohortRow(
        case_id=case.case_id,
        status=report.status.value,
        reason=report.status_reason,
        file=name,
        category=guidance.category.value if guidance else None,
        triage_level=guidance.triage.level if guidance else None,
    )
    return row, _queue_item(report)


def _queue_item(report: RenderedReport) -> QueueItem | None:
    if not isinstance(report.guidance, Ok) or report.guidance.value.triage.level is None:
        return None
    return QueueItem(
        case_id=report.case_id,
        guidance=report.guidance.value,
        clinical=report.clinical,
    )


def _worklist(rows: tuple[CohortRow, ...]) -> str:
    """Return the queue as CSV; a case id that a spreadsheet would run as a formula is defused."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("rank", "case_id", "triage_level", "category", "basis", "file"))
    waiting = [row for row in rows if row.rank is not None]
    for row in sorted(waiting, key=lambda r: r.rank or 0):
        case_id = f"'{row.case_id}" if row.case_id[:1] in "=+-@\t\r" else row.case_id
        writer.writerow(
            (row.rank, case_id, row.triage_level, row.category, "clinical facts only", row.file)
        )
    return text.getvalue()
