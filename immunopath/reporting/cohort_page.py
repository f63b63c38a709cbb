"""A cohort as two pages: what was found and what failed; who goes to the laboratory first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from immunopath.domain.cohort import CaseRecord, FieldSummary
from immunopath.domain.files import write_text
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.report import RESEARCH_USE
from immunopath.domain.words import counted
from immunopath.reporting.cohort_tables import why_absent, worklist_head
from immunopath.reporting.option_words import tests_text
from immunopath.reporting.page import self_contained
from immunopath.reporting.words import FIELD_NAMES

BINS: Final = 10
ABSTAINED: Final = "abstained"
_STATES: Final = {"none": "no opinion", "single": "one opinion only"}
"""States of agreement that do not speak for themselves."""
SHOWN: Final = 500
"""Rows of a table on a page; all of them are in the CSV."""


@dataclass(frozen=True)
class Bar:
    """One bar: share in [0, 1] of the cases that were analysed."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class FieldBlock:
    """How one field is distributed over the cohort."""

    label: str
    quantity: str
    bars: tuple[Bar, ...]
    note: str


def write_pages(
    out: Path, records: Sequence[CaseRecord], lines: Sequence[dict[str, Any]], as_of: date
) -> list[str]:
    """Write ``summary.html`` and ``worklist.html``; returns their names.

    lines: the `worklist` of the records.
    """
    write_text(out / "summary.html", summary_page(records, as_of))
    write_text(out / "worklist.html", worklist_page(records, lines, as_of))
    return ["summary.html", "worklist.html"]


def summary_page(records: Sequence[CaseRecord], as_of: date) -> str:
    """Return the cohort's summary as one self-contained page."""
    seen = [record for record in records if record.status in {"ok", "partial"}]
    lost = [record for record in records if record.status in {"failed", "refused"}]
    return self_contained(
        "cohort.html.j2",
        banner=RESEARCH_USE,
        as_of=as_of.isoformat(),
        n=counted(len(records), "case"),
        statuses=sorted(Counter(record.status for record in records).items()),
        fields=[_block(name, seen) for name in FIELD_VALUES],
        agreement=_agreement(seen),
        quality=_bars(Counter(v for r in records for v in r.quality)),
        findings=sorted(Counter(c for r in records for c in set(r.findings)).items()),
        engines=_engines(records),
        lost=[_line(record, record.reason) for record in lost[:SHOWN]],
        hidden=max(0, len(lost) - SHOWN),
        trust=worklist_head(records),
    )


def worklist_page(
    records: Sequence[CaseRecord], lines: Sequence[dict[str, Any]], as_of: date
) -> str:
    """Return the laboratory's worklist as one self-contained page."""
    listed = {line["case_id"] for line in lines}
    absent = [record for record in records if record.case_id not in listed]
    return self_contained(
        "worklist.html.j2",
        banner=RESEARCH_USE,
        as_of=as_of.isoformat(),
        head=worklist_head(records),
        lines=[line | {"tests": _named(line["tests"])} for line in lines[:SHOWN]],
        basis=next((line["exploratory_basis"] for line in lines if line["exploratory_basis"]), ""),
        hidden=max(0, len(lines) - SHOWN),
        n_absent=counted(len(absent), "case"),
        absent=[_line(record, why_absent(record)) for record in absent[:SHOWN]],
        more_absent=max(0, len(absent) - SHOWN),
    )


def _line(record: CaseRecord, why: str) -> dict[str, Any]:
    """Return a case as a line of a table; `file`: its report, refused cases have one too."""
    return {
        "row": record.row,
        "case_id": record.case_id,
        "status": record.status,
        "why": why,
        "file": record.file(".html") or record.file(".json"),
    }


def _named(codes: str | None) -> str:
    """Return the tests of a line by name; the table has their codes."""
    return tests_text(codes.split("; ")) if codes else ""


def _block(name: str, records: Sequence[CaseRecord]) -> FieldBlock:
    fields = [field for record in records for field in record.fields if field.field == name]
    values = [field.value for field in fields if field.value is not None]
    counts = _histogram(values) if FIELD_VALUES[name] is None else _classes(name, values)
    counts[ABSTAINED] = len(fields) - len(values)
    bars = tuple(Bar(k, n, n / len(fields) if fields else 0.0) for k, n in counts.items())
    quantities = sorted({field.quantity for field in fields})
    return FieldBlock(FIELD_NAMES[name], ", ".join(quantities), bars, _note(fields))


def _classes(name: str, values: Iterable[Any]) -> dict[str, int]:
    found = Counter(values)
    return {value: found.get(value, 0) for value in FIELD_VALUES[name] or ()}


def _histogram(values: Iterable[Any]) -> dict[str, int]:
    counts = [0] * BINS
    for value in values:
        counts[min(int(value * BINS), BINS - 1)] += 1
    return {f"{i / BINS:.1f}–{(i + 1) / BINS:.1f}": n for i, n in enumerate(counts)}


def _note(fields: Sequence[FieldSummary]) -> str:
    if not fields:
        return "no case was analysed"
    calibrated = sum(field.calibrated for field in fields)
    informative = sum(field.informative for field in fields)
    return (
        f"calibrated in {calibrated} of {counted(len(fields), 'case')}, informative "
        "(trust gate) in "
        f"{informative}"
    )


def _agreement(records: Sequence[CaseRecord]) -> list[tuple[str, list[tuple[str, int]]]]:
    rows = []
    for name in FIELD_VALUES:
        states = Counter(f.agreement for r in records for f in r.fields if f.field == name)
        states.pop("", None)
        if states:
            told = sorted((_STATES.get(state, state), n) for state, n in states.items())
            rows.append((FIELD_NAMES[name], told))
    return rows


def _engines(records: Iterable[CaseRecord]) -> list[tuple[str, list[tuple[str, int]]]]:
    by_agent: dict[str, Counter[str]] = {}
    for record in records:
        for agent, status in record.engines.items():
            by_agent.setdefault(agent, Counter())[status] += 1
    return [(agent, sorted(counts.items())) for agent, counts in by_agent.items()]


def _bars(counts: Counter[str]) -> list[Bar]:
    pairs = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    top = max((n for _, n in pairs), default=1)
    return [Bar(label, n, n / top) for label, n in pairs]
