"""The output folder of ``immunopath cohort``, read for the page. Nothing in it is written."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any, Final

from pydantic import ValidationError

from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.domain.files import open_regular, read_bounded, read_small
from immunopath.reporting.cohort_tables import why_absent, worklist, worklist_head
from immunopath.reporting.option_words import tests_text
from immunopath.reporting.rendered import RenderedReport

PER_PAGE: Final = 50
MAX_REPORT_BYTES: Final = 256 * 1024**2


@dataclass(frozen=True)
class Absent:
    """A case that is not in the worklist. stem: leads to its report, empty without one."""

    case_id: str
    status: str
    why: str
    stem: str = ""


@dataclass(frozen=True)
class Cohort:
    """What the folder held when it was read.

    state: ``finished`` or ``running``; unread: records that could not be read.
    """

    state: str
    as_of: date
    head: str
    records: dict[str, CaseRecord]
    """By the stem of the record's file, which is the case's name in an address."""
    lines: tuple[dict[str, Any], ...]
    """The worklist, first to go first; ``stem`` leads to the case."""
    absent: tuple[Absent, ...]
    """Every case that the worklist does not have."""
    unread: int


class CohortFolder:
    """Reads the folder again when a run has written to it."""

    def __init__(self, root: Path) -> None:
        """Raise `InputError` for a folder without a cohort run."""
        self.root = root
        if not (root / "run.json").is_file():
            raise InputError(
                f"--cohort {root}: holds no cohort run; name the folder that "
                "'immunopath cohort … -o DIR' wrote"
            )
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._cohort: Cohort | None = None
        self.read()

    def read(self) -> Cohort:
        """Return the cohort; raises `InputError` when ``run.json`` cannot be read."""
        with self._lock:
            stamp = self._stamp()
            if self._cohort is None or stamp != self._seen:
                self._cohort, self._seen = _read(self.root), stamp
            return self._cohort

    def report(self, record: CaseRecord) -> RenderedReport:
        """Return the stored report of a case; raises `InputError` for a damaged or absent file."""
        text = self._checked(record, ".json")
        try:
            return RenderedReport.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"{record.case_id}: its stored report cannot be read") from error

    def stored(self, record: CaseRecord, suffix: str) -> str | None:
        """Return the report as the run wrote it; None for a suffix that it did not write."""
        if record.file(suffix) is None:
            return None
        return self._checked(record, suffix).decode("utf-8", "replace")

    def _checked(self, record: CaseRecord, suffix: str) -> bytes:
        """Return a file of the record: inside the folder, with the digest that the record has."""
        name = record.file(suffix)
        if name is None:
            raise InputError(f"{record.case_id}: has no report ({record.reason or record.status})")
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise InputError(f"{record.case_id}: its report lies outside the cohort's folder")
        try:
            content = read_bounded(path, MAX_REPORT_BYTES)
        except OSError as error:
            raise InputError(f"{name}: cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != record.files[name]:
            raise InputError(f"{name}: was changed since the run wrote it; run the cohort again")
        return content

    def _stamp(self) -> tuple[int, int]:
        records = self.root / "records"
        return (
            (self.root / "run.json").stat().st_mtime_ns,
            records.stat().st_mtime_ns if records.is_dir() else 0,
        )


def _read(root: Path) -> Cohort:
    try:
        run = json.loads(read_small(root / "run.json", "the manifest of a run"))
        state, as_of = str(run["state"]), date.fromisoformat(run["as_of"])
    except (OSError, CaseFileError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{root / 'run.json'}: is not the manifest of a cohort run") from error
    records, unread = _records(root / "records")
    known = list(records.values())
    stems = {record.case_id: stem for stem, record in records.items()}
    lines = tuple(
        line | {"stem": stem, "tests": tests_text(records[stem].tests)}
        for line in worklist(known, as_of)
        for stem in (stems[line["case_id"]],)
    )
    listed = {line["case_id"] for line in lines}
    absent = [_absent(s, r) for s, r in records.items() if r.case_id not in listed]
    absent += _bad_rows(root / "cohort.csv", {record.case_id for record in known})
    return Cohort(state, as_of, worklist_head(known), records, lines, tuple(absent), unread)


def _absent(stem: str, record: CaseRecord) -> Absent:
    return Absent(record.case_id, record.status, why_absent(record), stem if record.files else "")


def _bad_rows(table: Path, known: set[str]) -> list[Absent]:
    """Return the rows of the manifest that were refused at once: they have no record."""
    try:
        with open_regular(table) as stream:
            lines = csv.DictReader(io.TextIOWrapper(stream, "utf-8", newline=""))
            rows = [row for row in lines if row.get("status") == "failed"]
    except (OSError, ValueError, csv.Error):
        return []
    return [
        Absent(case_id, "failed", row.get("reason") or "")
        for row in rows
        if (case_id := row.get("case_id") or "") not in known
    ]


def _records(folder: Path) -> tuple[dict[str, CaseRecord], int]:
    found: dict[str, CaseRecord] = {}
    unread = 0
    for path in sorted(folder.glob("*.json")):
        try:
            text = read_small(path, "the record of a case")
            found[path.stem] = CaseRecord.model_validate_json(text)
        except (OSError, CaseFileError, ValidationError):
            unread += 1
    ordered = sorted(found.items(), key=lambda item: (item[1].row, item[0]))
    return dict(ordered), unread
