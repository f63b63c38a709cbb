"""Small measures and words of the terminal report."""

from rich.cells import cell_len

from immunopath.reporting import document as doc

_MIN_COLUMN = 28


def mark_of(entry: doc.Entry, kind: str) -> str:
    """Return the mark of an entry: a box for a checklist, a dash where there is none."""
    if kind == "checklist":
        return f"[{entry.mark or ' '}]"
    return entry.mark or "-"


def in_one_line(rows: tuple[doc.Pair, ...]) -> str:
    """Return labelled values as one line of text."""
    return "; ".join(f"{row.label}: {row.value.rstrip('.')}" for row in rows)


def room_needed(grid: doc.Grid) -> int:
    """Return the width of the table when its widest column may wrap at `_MIN_COLUMN`."""
    columns = zip(grid.headers, *grid.rows, strict=True)
    widths = sorted(max(map(cell_len, column)) + 1 for column in columns)
    return sum(widths[:-1]) + min(widths[-1], _MIN_COLUMN)
