"""The fixed order of the stages (`guidelines.md` 2.0) and which table belongs to which stage."""

from collections.abc import Iterable
from typing import TypeVar

from immunopath.guidelines.loader import Knowledge, Table

T = TypeVar("T")

STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("validate", ("pdl1", "pdl1_notes", "validation", "molecular_conflict")),
    ("scope", ("scope",)),
    ("urgency", ("urgency",)),
    ("router", ("router",)),
    ("gate", ("gate_drivers", "gate_pdl1")),
    (
        "options",
        ("driver", "first_line", "later_line", "stage_iii", "perioperative", "adjuvant"),
    ),
    ("barriers", ("barriers", "ici_excluded")),
    ("fitness", ("fitness",)),
    ("overlays", ("overlay_measured", "predicted")),
    ("tests", ("tests",)),
    ("triage", ("triage",)),
)
"""A stage and its tables, in the order in which a reader follows them."""

OTHER = "other"
"""Stage of a table that nobody placed yet; it stands at the end, it is never left out."""

_STAGE_OF = {table: stage for stage, tables in STAGES for table in tables}
_PLACE = {table: n for n, table in enumerate(_STAGE_OF)}


def stage_of(table: str) -> str:
    """Return the stage of a table."""
    return _STAGE_OF.get(table, OTHER)


def by_stage(items: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    """Group (table, item) pairs by stage, stages in their fixed order, items as given."""
    found: dict[str, list[T]] = {}
    for stage in (*(stage for stage, _ in STAGES), OTHER):
        found[stage] = []
    for table, item in items:
        found[stage_of(table)].append(item)
    return {stage: group for stage, group in found.items() if group}


def ordered_tables(kb: Knowledge) -> tuple[Table, ...]:
    """Return every table of the knowledge in reading order, unplaced ones last by name."""
    last = len(_PLACE)
    return tuple(sorted(kb.tables.values(), key=lambda t: (_PLACE.get(t.name, last), t.name)))
