"""The tables of a cohort: a row per case and field and per slide and number, and the worklist."""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from immunopath.domain.cohort import CaseRecord, FieldSummary, QueueFacts, SlideSummary
from immunopath.domain.files import writing
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.guidelines.review import defused
from immunopath.guidelines.triage import order_cohort

CLOSED: Final = (
    "No engine's trust gate is open: this list ranks by measured and clinical facts only. "
    "exploratory_order is unvalidated and takes no part in it."
)
OPEN: Final = (
    "Ranked by measured and clinical facts; a validated prediction breaks ties that they leave. "
    "exploratory_order is unvalidated and takes no part in it."
)

IDLE: Final = (
    "A trust gate is open, but of no prediction whose test is outstanding here (PD-L1, MSI): this "
    "list ranks by measured and clinical facts only. exploratory_order is unvalidated and takes no "
    "part in it."
)

CASE_COLUMNS: Final = (
    "case_id", "patient_id", "row", "status", "reason", "category", "triage_level", "rank",
    "exploratory_order", "quality", "n_tiles_case", "findings",
)  # fmt: skip
FIELD_COLUMNS: Final = tuple(
    "field_reason" if name == "reason" else name for name in FieldSummary.model_fields
)
"""Those of `FieldSummary`; the case has a reason of its own."""
SLIDE_COLUMNS: Final = (
    "unit", "slide", "slide_sha256", "n_places", "interval_of", "first_round", "engine",
)  # fmt: skip
"""Those that rows of slides add; of a field of the case only `unit` is filled."""
NUMBER_UNIT: Final = "number from 0 to 1, see quantity"
WORK_COLUMNS: Final = (
    "rank", "case_id", "patient_id", "triage_level", "why", "category", "tests", "waiting_days",
    "tissue_at_risk", "exploratory_order", "exploratory_basis", "file",
)  # fmt: skip
_ROWS: Final = 1024
"""Rows of a table that are Python objects at a time; columns take a tenth of their memory."""


def worklist(records: Sequence[CaseRecord], as_of: date) -> list[dict[str, Any]]:
    """Return the queue, first to go first (`guidelines.md` 3.3)."""
    queue = [record.queue for record in records if record.queue is not None]
    by_id = {record.case_id: record for record in records}
    basis, explored = _exploratory(queue)
    lines = []
    for rank, item in enumerate(order_cohort(queue, as_of=as_of), 1):
        record = by_id[item.case_id]
        waited = None if item.diagnosed_on is None else (as_of - item.diagnosed_on).days
        lines.append(
            {
                "rank": rank,
                "case_id": item.case_id,
                "patient_id": record.patient_id,
                "triage_level": item.level,
                "why": "; ".join(item.reasons),
                "category": record.category,
                "tests": "; ".join(record.tests),
                "waiting_days": waited,
                "tissue_at_risk": item.scant,
                "exploratory_order": explored.get(item.case_id),
                "exploratory_basis": basis if item.case_id in explored else "",
                "file": record.file(".html") or record.file(".json"),
            }
        )
    return lines


def why_absent(record: CaseRecord) -> str:
    """Return why a case is not in the worklist: what its report lacks is another matter."""
    if record.status not in {"ok", "partial"}:
        return record.reason
    category = (record.category or "no category").replace("_", " ")
    return f"no laboratory test is outstanding ({category})"


def worklist_head(records: Iterable[CaseRecord]) -> str:
    """Return the sentence at the list's head: does any prediction take part?"""
    known = tuple(records)
    if any(r.queue is not None and r.queue.changing_probability is not None for r in known):
        return OPEN
    return IDLE if any(f.informative for r in known for f in r.fields) else CLOSED


def _exploratory(queue: Sequence[QueueFacts]) -> tuple[str, dict[str, int]]:
    """Return what the unvalidated order goes by, and the place of every case that has it.

    One quantity for the whole list, since different ones cannot be ranked together: that of most
    cases, the better one of equals. Higher numbers first, the case id between equals.
    """
    found = Counter(name for item in queue for name in item.exploratory)
    if not found:
        return "", {}
    basis = max(found, key=lambda name: found[name])  # the first of equals: the better one
    known = [item for item in queue if basis in item.exploratory]
    ordered = sorted(known, key=lambda item: (-item.exploratory[basis], item.case_id))
    return f"{basis}, unvalidated", {item.case_id: n for n, item in enumerate(ordered, 1)}


def tidy(
    records: Iterable[CaseRecord], lines: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield one row per case and field, then one per slide of the case and number.

    A case without a report is one row without a field. No number of a slide is a field of the case:
    it is neither calibrated nor validated, and has no part in the worklist.

    lines: the `worklist` of the records.
    """
    places = {line["case_id"]: line for line in lines}
    for record in records:
        place = places.get(record.case_id, {}) if record.queue is not None else {}
        case = {
            "case_id": record.case_id,
            "patient_id": record.patient_id,
            "row": record.row,
            "status": record.status,
            "reason": record.reason,
            "category": record.category,
            "triage_level": place.get("triage_level"),
            "rank": place.get("rank"),
            "exploratory_order": place.get("exploratory_order"),
            "quality": " ".join(record.quality),
            "n_tiles_case": record.n_tiles,
            "findings": " ".join(record.findings),
        }
        fields = [_field_cells(field) for field in record.fields]
        fields += [_slide_cells(slide) for slide in record.slides]
        empty: dict[str, Any] = dict.fromkeys((*FIELD_COLUMNS, *SLIDE_COLUMNS))
        yield from (case | field for field in fields or [empty])


def _field_cells(field: FieldSummary) -> dict[str, Any]:
    cells = field.model_dump() | dict.fromkeys(SLIDE_COLUMNS)
    unit = NUMBER_UNIT if FIELD_VALUES.get(field.field, ()) is None else None
    return cells | {"field_reason": cells.pop("reason"), "unit": unit}


def _slide_cells(slide: SlideSummary) -> dict[str, Any]:
    cells: dict[str, Any] = dict.fromkeys(FIELD_COLUMNS) | slide.model_dump()
    return cells | {
        "field_reason": cells.pop("reason"),
        "calibrated": False,
        "informative": False,
        "abstained": slide.value is None,
    }


def write_csv(
    path: Path, rows: Iterable[dict[str, Any]], columns: Sequence[str], head: str = ""
) -> None:
    """Write rows as CSV, one at a time. Text that a spreadsheet would run is defused."""
    with writing(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", "backslashreplace", newline="")
        if head:
            text.write(f"# {head}\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_safe(row[column]) for column in columns])
        text.detach()


def _safe(cell: object) -> object:
    if not isinstance(cell, str):
        return "" if cell is None else cell
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in defused(cell)
    )


def write_tables(
    out: Path, records: Sequence[CaseRecord], lines: Sequence[dict[str, Any]]
) -> list[str]:
    """Write the tables, ``cohort.parquet`` only where pyarrow is installed; returns their names.

    lines: the `worklist` of the records.
    """
    columns = (*CASE_COLUMNS, *FIELD_COLUMNS, *SLIDE_COLUMNS)
    write_csv(out / "cohort.csv", tidy(records, lines), columns)
    write_csv(out / "worklist.csv", lines, WORK_COLUMNS, worklist_head(records))
    names = ["cohort.csv", "worklist.csv"]
    if _write_parquet(out / "cohort.parquet", tidy(records, lines), columns):
        names.append("cohort.parquet")
    return names


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]], columns: Sequence[str]) -> bool:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        return False
    kinds = {
        "row": pa.int64(), "rank": pa.int64(), "exploratory_order": pa.int64(),
        "n_tiles_case": pa.int64(), "n_tiles": pa.int64(), "probability": pa.float64(),
        "low": pa.float64(), "high": pa.float64(), "coverage": pa.float64(),
        "tile_disagreement": pa.float64(), "calibrated": pa.bool_(), "informative": pa.bool_(),
        "abstained": pa.bool_(), "number": pa.float64(), "n_places": pa.int64(),
        "first_round": pa.float64(),
    }  # fmt: skip
    names = [*columns, "number"]
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in names])
    parts = []
    while part := [_typed(row) for row in itertools.islice(rows, _ROWS)]:
        parts.append(pa.RecordBatch.from_pylist(part, schema=schema))
    table = pa.Table.from_batches(parts, schema=schema)
    with writing(path) as stream:
        pq.write_table(table, stream, compression="zstd")
    return True


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose value is text, with a number beside it where it is one."""
    value = row["value"]
    number = value if isinstance(value, float) else None
    clean = {k: _utf8(v) if isinstance(v, str) else v for k, v in row.items()}
    return clean | {"value": None if value is None else str(clean["value"]), "number": number}


def _utf8(text: str) -> str:
    """Return text that UTF-8 can hold; most of it is ASCII and stays the same object."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
