"""The shapes a report is made of, free of any output format.

`view.document` fills them once; every renderer lays the same words out in its own way.
All strings are already cleaned (`text.cleaned`), but not escaped: escaping belongs to the format.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

Tone = Literal["stop", "caution", "info", "plain"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and what stands beside it. ``known`` False marks what nobody measured or said."""

    label: str
    value: str
    detail: str = ""
    known: bool = True
    tone: Tone = "plain"
    """``stop`` and ``caution`` rows are set apart; their words say the same without it."""


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph."""

    shape: ClassVar[str] = "para"
    text: str
    tone: Literal["plain", "lead", "quiet"] = "plain"


@dataclass(frozen=True, slots=True)
class Pairs:
    """A list of labelled values."""

    shape: ClassVar[str] = "pairs"
    rows: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One item with a mark (rank, severity word, empty box), a head and lines of detail.

    ``picture`` is the id of a neighbour whose thumbnail the HTML may show.
    """

    head: str
    mark: str = ""
    tone: Tone = "plain"
    tags: tuple[str, ...] = ()
    lines: tuple[Pair, ...] = ()
    picture: str | None = None
    opened: bool | None = None
    """Whether the HTML shows the lines at once or folds them under the head; None = no fold."""


@dataclass(frozen=True, slots=True)
class Entries:
    """A list of entries; ``kind`` tells the renderer what the marks are."""

    shape: ClassVar[str] = "entries"
    kind: Literal["ranked", "checklist", "severity", "gallery", "plain"]
    items: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. ``collapsed`` tables are long: the terminal only counts their rows."""

    shape: ClassVar[str] = "grid"
    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """One answer to a question of the conditional tree, and where it would lead."""

    condition: str
    outcome: str
    note: str = ""
    leaves: tuple[Entry, ...] = ()
    questions: tuple["Question", ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A missing result and its possible answers."""

    text: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Conditional branches, grouped by the question they answer."""

    shape: ClassVar[str] = "tree"
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One probability, in [0, 1], with its text."""

    label: str
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """One predicted field in full: value, probabilities over all allowed values, and its basis."""

    key: str
    label: str
    value: str
    bars: tuple[Bar, ...]
    bars_title: str
    span: tuple[float, float] | None
    """Interval in [0, 1] to draw beside the bar of a number."""
    lines: tuple[Pair, ...]
    abstained: bool


@dataclass(frozen=True, slots=True)
class Cards:
    """All predicted fields. ``shared`` holds the lines that are the same for every field."""

    shape: ClassVar[str] = "cards"
    items: tuple[Card, ...]
    shared: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A titled box of the case summary."""

    title: str
    note: str
    rows: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Measured and predicted, always apart."""

    shape: ClassVar[str] = "boxes"
    measured: Box
    predicted: Box


Block = Para | Pairs | Entries | Grid | Tree | Cards | Boxes


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the report; ``key`` is its stable anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, in reading order."""

    case_id: str
    status: str
    status_text: str
    banner: str
    facts: tuple[Pair, ...]
    sections: tuple[Section, ...] = field(default=())
