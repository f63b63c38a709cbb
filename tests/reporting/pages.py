"""Readers of rendered pages for tests: a strict HTML reader and a console of a given width."""

import io
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from typing import Any

from rich.console import Console, RenderableType

from immunopath.reporting import document as doc

VOID = frozenset({"meta", "input", "img", "br", "link", "image"})
_ADDRESSES = frozenset({"src", "href", "xlink:href", "srcset", "action", "data", "poster"})
_HIDDEN = frozenset({"key", "picture", "tone", "kind", "shape", "span", "share"})


class Page(HTMLParser):
    """Reads a page, insists on balanced tags, and collects text, tags and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()
        self.unbalanced += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in _ADDRESSES:
                self.addresses.append(value or "")

    @property
    def text(self) -> str:
        return squeezed(" ".join(self.texts))


def squeezed(text: str) -> str:
    """Return `text` with runs of white space as one space."""
    return " ".join(text.split())


def printed(
    shown: RenderableType, width: int = 80, encoding: str = "utf-8", colour: bool = False
) -> str:
    """Return what a console of that width, encoding and colour writes."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(
        file=stream,
        width=width,
        color_system="standard" if colour else None,
        force_terminal=colour,
        legacy_windows=False,
    )
    console.print(shown)
    stream.flush()
    return raw.getvalue().decode(encoding)


def words_of(item: Any) -> list[str]:
    """Return every string of a document that a terminal must show."""
    if isinstance(item, str):
        return [item]
    if isinstance(item, tuple):
        return [word for each in item for word in words_of(each)]
    if isinstance(item, doc.Grid) and item.collapsed:
        return [item.caption]
    if is_dataclass(item):
        names = (f.name for f in fields(item) if f.name not in _HIDDEN)
        return [word for name in names for word in words_of(getattr(item, name))]
    return []
