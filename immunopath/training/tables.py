"""Small tables of text: read (CSV or TSV) with named errors, written as CSV; no pandas needed."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from immunopath.domain.errors import CaseFileError, CohortError, first_few
from immunopath.domain.files import read_bounded, require_file, write_text
from immunopath.domain.words import counted

MISSING: Final = frozenset({"", "na", "nan", "n/a", "none", "null", "[not available]", "unknown"})
"""Cells that say that nothing is known, in lower case."""

Row = Mapping[str, str]


def read_table(path: Path, what: str, *, comment: str = "#") -> list[tuple[int, dict[str, str]]]:
    """Return (line number, cells by lower-case column name) of a comma or tab table.

    what: names the table that is wanted, for the message. Lines that begin with `comment` are
    left out. Raises `CohortError` for a missing, empty or undecodable file, a column that stands
    there twice, and a row of another length than the header.
    """
    try:
        require_file(path, what)
        text = read_bounded(path).decode("utf-8-sig")
    except CaseFileError as error:
        raise CohortError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(f"{path}: cannot be read as text; name {what}") from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith(comment)
    ]
    if len(lines) < 2:
        raise CohortError(f"{path}: holds no row; name {what}")
    rows = _cells(path, [line for _, line in lines])
    names = [cell.lower() for cell in rows[0]]
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise CohortError(f"{path}: column {first_few(twice)} stands there twice")
    found: list[tuple[int, dict[str, str]]] = []
    for (number, _), cells in zip(lines[1:], rows[1:], strict=True):
        if len(cells) != len(names):
            raise CohortError(
                f"{path}: line {number}: {counted(len(cells), 'column')} where the "
                f"header has {len(names)}"
            )
        found.append((number, dict(zip(names, cells, strict=True))))
    return found


def _cells(path: Path, lines: list[str]) -> list[list[str]]:
    """Divide lines into cells; in tab tables a quotation mark is a character like any other."""
    tabs = "\t" in lines[0]
    quoting: Literal[0, 3] = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter="\t" if tabs else ",", quoting=quoting)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise CohortError(f"{path}: is no table ({error})") from error
    if len(rows) != len(lines):
        raise CohortError(f"{path}: a quoted cell goes over the end of a line; write it on one")
    return [[_bare(cell) if tabs else cell.strip() for cell in row] for row in rows]


def _bare(cell: str) -> str:
    """Return a cell of a tab table without the quotation marks around it."""
    text = cell.strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].strip() if quoted else text


def first_of(row: Row, names: Sequence[str]) -> str:
    """Return the first cell of `names` that says something; "" when none does."""
    for name in names:
        value = row.get(name, "")
        if value.lower() not in MISSING:
            return value
    return ""


def number_of(row: Row, names: Sequence[str], where: str) -> float | None:
    """Return the first number of `names`; None when it is missing.

    Raises `CohortError` for a word and for infinity; a NaN counts as missing.
    """
    text = first_of(row, names)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise CohortError(f"{where}: {text[:40]!r} is no number") from error
    if not math.isfinite(value):
        raise CohortError(f"{where}: {text[:40]!r} is not finite")
    return value


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table as CSV with the given columns; None and what a row lacks are empty cells."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, sink.getvalue())
