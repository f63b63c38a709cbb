"""The little Markdown that the guideline page needs: escaped cells, tables, anchors."""

import re
from collections.abc import Iterable, Sequence

Block = list[str]
"""Lines that stand together."""

_SPECIAL = re.compile(r"[\\`*|\[\]]|(?<!\w)_|_(?!\w)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
"""Only what could start a tag or an entity is replaced: ``< 1 %`` stays readable in the source."""


def cell(text: str) -> str:
    """Return text that shows as it is in a table cell; a line break becomes ``<br>``."""
    shown = _TAG.sub("&lt;", _ENTITY.sub("&amp;", text))
    escaped = _SPECIAL.sub(lambda hit: f"\\{hit[0]}", shown)
    return "<br>".join(" ".join(line.split()) for line in escaped.split("\n"))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Block:
    """Return a table; every cell is escaped."""
    lines = [_row(headers), _row(["---"] * len(headers))]
    return [*lines, *(_row([cell(text) for text in row]) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def anchor(title: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
