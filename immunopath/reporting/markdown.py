"""The report as GitHub Markdown. Every character that could start markup or HTML is escaped."""

import re
from collections.abc import Iterator

from immunopath.domain.report import CaseReport
from immunopath.reporting import document as doc
from immunopath.reporting.view import document

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[\\`*_\[\]#|~$@]|(?<=[A-Za-z]):(?=//)|(?<=www)\.|[&<>]")
_BLOCK_START = re.compile(r"^(\s*)([-+=]|\d+(?=[.)](?:\s|$)))")

_SIGN_OFF = "## Sign-off\n\nReviewer: ______ Date: ______ Overrides, with reason: ______".replace(
    "_", "\\_"
)


def escape(text: str) -> str:
    """Return one line of `text` so that Markdown and HTML show it as it is.

    Brackets, emphasis, headings, pipes, entities, automatic links and mentions lose their meaning.
    """
    shown = _SPECIAL.sub(lambda hit: _ENTITIES.get(hit[0], f"\\{hit[0]}"), text)
    return _BLOCK_START.sub(_neutral_start, shown)


def _neutral_start(hit: re.Match[str]) -> str:
    lead = hit[2]
    # a digit cannot be escaped with a backslash: its list marker is broken with an entity
    return hit[1] + (f"&#{ord(lead[0])};{lead[1:]}" if lead[0].isdigit() else f"\\{lead}")


def render_markdown(report: CaseReport) -> str:
    """Return the report as Markdown text with a trailing newline."""
    page = document(report)
    lines = [
        f"# ImmunoPath report: case {escape(page.case_id)}",
        "",
        f"> **{escape(page.banner)}**",
        "",
        *_pairs((doc.Pair("Status", f"{page.status}: {page.status_text}"), *page.facts)),
    ]
    for section in page.sections:
        lines += ["", f"## {escape(section.title)}", ""]
        if section.note:
            lines += [f"*{escape(section.note)}*", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    lines += [_SIGN_OFF, "", f"> **{escape(page.banner)}**"]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _block(block: doc.Block) -> Iterator[str]:
    match block:
        case doc.Para():
            text = escape(block.text)
            yield f"**{text}**" if block.tone == "lead" else text
        case doc.Pairs():
            yield from _pairs(block.rows)
        case doc.Entries():
            for item in block.items:
                yield from _entry(item, block.kind)
        case doc.Grid():
            yield from _grid(block)
        case doc.Tree():
            for question in block.questions:
                yield from _question(question, 0)
        case doc.Cards():
            yield from _pairs(block.shared)
            for card in block.items:
                yield from _card(card)
        case doc.Boxes():
            for content in (block.measured, block.predicted):
                yield from (f"### {escape(content.title)}", "", f"*{escape(content.note)}*", "")
                yield from _pairs(content.rows)
                yield ""


def _pairs(rows: tuple[doc.Pair, ...], indent: str = "") -> Iterator[str]:
    for row in rows:
        detail = f" ({escape(row.detail)})" if row.detail else ""
        yield f"{indent}- {escape(row.label)}: {escape(row.value)}{detail}"


def _entry(entry: doc.Entry, kind: str) -> Iterator[str]:
    tags = f" ({escape('; '.join(entry.tags))})" if entry.tags else ""
    mark = f"{escape(entry.mark)} " if entry.mark and kind != "checklist" else ""
    lead = {"ranked": f"{entry.mark}.", "checklist": "- [x]" if entry.mark else "- [ ]"}
    if kind == "ranked":
        mark = ""
    head = f"**{escape(entry.head)}**" if entry.lines or entry.tags else escape(entry.head)
    yield f"{lead.get(kind, '-')} {mark}{head}{tags}"
    yield from _pairs(entry.lines, indent="   " if kind == "ranked" else "  ")


def _grid(grid: doc.Grid) -> Iterator[str]:
    if grid.collapsed:
        yield from (f"<details><summary>{escape(grid.caption)}</summary>", "")
    else:
        yield from (f"{escape(grid.caption)}:", "")
    yield _row(grid.headers)
    yield _row(tuple("---" for _ in grid.headers), raw=True)
    yield from map(_row, grid.rows)
    if grid.collapsed:
        yield from ("", "</details>")


def _row(cells: tuple[str, ...], *, raw: bool = False) -> str:
    return f"| {' | '.join(cells if raw else map(escape, cells))} |"


def _question(question: doc.Question, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}- **{escape(question.text)}**"
    for branch in question.branches:
        outcome = f": {escape(branch.outcome)}" if branch.outcome else ""
        note = f" ({escape(branch.note)})" if branch.note else ""
        yield f"{indent}  - if {escape(branch.condition)}{outcome}{note}"
        for leaf in branch.leaves:
            tags = f" ({escape('; '.join(leaf.tags))})" if leaf.tags else ""
            yield f"{indent}    - would list: {escape(leaf.head)}{tags}"
        for asked in branch.questions:
            yield from _question(asked, depth + 2)


def _card(card: doc.Card) -> Iterator[str]:
    yield f"- **{escape(card.label)}: {escape(card.value)}**"
    if card.bars:
        table = ", ".join(f"{escape(bar.label)} {escape(bar.text)}" for bar in card.bars)
        yield f"  - {escape(card.bars_title)}: {table}"
    yield from _pairs(card.lines, indent="  ")
