"""The report on a terminal: 80 columns, nothing cut off, readable without colour or Unicode."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree as RichTree

from immunopath.domain.report import CaseReport
from immunopath.domain.words import counted
from immunopath.reporting import document as doc
from immunopath.reporting.terminal_parts import in_one_line, mark_of, room_needed
from immunopath.reporting.text import ascii_only
from immunopath.reporting.view import document

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

MAX_WIDTH = 100
"""Longer lines are hard to read; wider terminals leave the rest empty."""
_SIDE_BY_SIDE = 72
_BAR_CELLS = 16
_SHORT = 12
"""Rows of a table that the terminal shows where it would else only count them."""
_LEAVES = 3
"""Conditional options named per branch; the others are counted."""
_HEADS_ONLY = {
    "drugs": "Facts with source and grade: 'immunopath drug NAME', or the HTML, Markdown and JSON.",
    "path": "Citations: the HTML, Markdown and JSON.",
    "references": "In full: the HTML, Markdown and JSON.",
}
"""Long sections of which the terminal names the items only, and where the rest stands."""
_STYLES = {"stop": "bold red", "caution": "bold yellow", "info": "bold", "plain": "bold"}


def render_terminal(report: CaseReport) -> "RenderableType":
    """Return a rich renderable of the report; it adapts to the console's width and encoding."""
    return TerminalReport(document(report))


@dataclass(frozen=True)
class TerminalReport:
    """A document that draws itself on any rich console."""

    document: doc.Document

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield the report at the console's width, at most `MAX_WIDTH` columns."""
        width = min(options.max_width, MAX_WIDTH)
        page = _Page(width, plain=options.ascii_only)
        yield from console.render(Group(*page.lay_out(self.document)), options.update(width=width))


@dataclass(frozen=True)
class _Page:
    """Lays out blocks for one width and one character set. No markup is ever parsed."""

    width: int
    plain: bool

    def text(self, text: str, style: str = "") -> Text:
        shown = ascii_only(text) if self.plain else text
        return Text(shown, style=style, overflow="fold")

    def rule(self, title: str) -> Rule:
        line = "-" if self.plain else "─"
        return Rule(self.text(title, "bold"), characters=line, align="left", style="")

    def lay_out(self, page: doc.Document) -> "Iterator[RenderableType]":
        yield Panel(self.text(page.banner, "bold"), box=box.HEAVY, padding=(0, 1))
        title = self.text("ImmunoPath report, case ", "bold")
        yield title.append_text(self.text(page.case_id, "bold"))
        yield self.run_in(doc.Pair("Status", f"{page.status.upper()}: {page.status_text}"))
        for row in page.facts:
            yield self.run_in(row)
        for section in page.sections:
            yield from self.section(section)
        yield self.rule("")
        yield self.text(page.banner, "bold")

    def section(self, section: doc.Section) -> "Iterator[RenderableType]":
        yield Padding(self.rule(section.title.upper()), (1, 0, 0, 0))
        if section.note:
            yield self.text(section.note, "italic")
        brief = _HEADS_ONLY.get(section.key)
        for block in section.blocks:
            if brief and isinstance(block, doc.Entries):
                yield self.heads(block)
            elif brief and isinstance(block, doc.Grid):
                yield self.text(f"{block.caption}: {counted(len(block.rows), 'row')}.")
            elif section.key == "change" and isinstance(block, doc.Grid):
                yield from self.short(block)
            else:
                yield from self.block(block)
        if brief:
            yield self.text(brief, "italic")

    def short(self, grid: doc.Grid) -> "Iterator[RenderableType]":
        """Yield the first rows of a table; the others are counted."""
        yield from self.grid(replace(grid, rows=grid.rows[:_SHORT]))
        if (more := len(grid.rows) - _SHORT) > 0:
            rows = counted(more, "more row")
            yield self.text(f"{rows}. In full: the HTML, Markdown and JSON.", "italic")

    def heads(self, entries: doc.Entries) -> Text:
        """Return the heads of a long list as one wrapping line."""
        return self.text("; ".join(f"{item.mark} {item.head}".strip() for item in entries.items))

    def block(self, block: doc.Block) -> "Iterator[RenderableType]":
        match block:
            case doc.Para():
                yield self.text(block.text, "bold" if block.tone == "lead" else "")
            case doc.Pairs():
                yield self.pairs(block.rows)
            case doc.Entries():
                yield from (self.entry(item, block.kind) for item in block.items)
            case doc.Grid():
                yield from self.grid(block)
            case doc.Tree():
                yield from (self.tree(question) for question in block.questions)
            case doc.Cards():
                if block.shared:
                    yield self.run_in(doc.Pair("Every field", in_one_line(block.shared)))
                yield from (self.card(item) for item in block.items)
            case doc.Boxes():
                yield self.boxes(block)

    def run_in(self, row: doc.Pair) -> Text:
        """Return ``label: value (detail)`` as one wrapping text."""
        text = self.text(f"{row.label}: ", _STYLES[row.tone])
        text.append_text(self.text(row.value, "" if row.known else "italic"))
        if row.detail:
            text.append_text(self.text(f" ({row.detail})"))
        return text

    def pairs(self, rows: tuple[doc.Pair, ...], label_max: int = 0) -> Table:
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(max_width=label_max or int(0.48 * self.width), overflow="fold")
        grid.add_column(ratio=1, overflow="fold")
        for row in rows:
            value = self.text(row.value, "" if row.known else "italic")
            if row.detail:
                value.append_text(self.text(f" ({row.detail})"))
            grid.add_row(self.text(row.label, _STYLES[row.tone]), value)
        return grid

    def boxes(self, boxes: doc.Boxes) -> "RenderableType":
        measured = self.box(boxes.measured, box.HEAVY)
        predicted = self.box(boxes.predicted, box.ROUNDED)
        if self.width < _SIDE_BY_SIDE:
            return Group(measured, predicted)
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1)
        grid.add_column(ratio=1)
        grid.add_row(measured, predicted)
        return grid

    def box(self, content: doc.Box, edge: box.Box) -> Panel:
        body = Group(self.text(content.note, "italic"), self.pairs(content.rows, label_max=16))
        title = self.text(content.title.upper(), "bold")
        return Panel(body, title=title, title_align="left", box=edge, padding=(0, 1))

    def entry(self, entry: doc.Entry, kind: str) -> "RenderableType":
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(max_width=12, overflow="fold")
        grid.add_column(ratio=1, overflow="fold")
        head = self.text(entry.head, "bold" if entry.lines else "")
        if entry.tags:
            head.append_text(self.text(f" [{'; '.join(entry.tags)}]", "not bold"))
        lines: list[RenderableType] = [head, *(self.run_in(row) for row in entry.lines)]
        grid.add_row(self.text(mark_of(entry, kind), _STYLES[entry.tone]), Group(*lines))
        return grid

    def grid(self, grid: doc.Grid) -> "Iterator[RenderableType]":
        if grid.collapsed:
            rows = counted(len(grid.rows), "row")
            yield self.text(f"{grid.caption}: {rows}, listed in the HTML, Markdown and JSON.")
            return
        yield self.text(grid.caption, "italic")
        if len(grid.headers) > 3 and room_needed(grid) > self.width:
            yield from (self.record(grid.headers, row) for row in grid.rows)
            return
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for header in grid.headers:
            table.add_column(self.text(header), overflow="fold")
        for row in grid.rows:
            table.add_row(*map(self.text, row))
        yield table

    def record(self, headers: tuple[str, ...], row: tuple[str, ...]) -> "RenderableType":
        """Return a row of a table that is too wide as a small block of its own."""
        lines = (doc.Pair(*pair) for pair in zip(headers[1:], row[1:], strict=True) if pair[1])
        return self.entry(doc.Entry(row[0], lines=tuple(lines)), "plain")

    def tree(self, question: doc.Question) -> RichTree:
        root = RichTree(self.text(question.text, "bold"))
        for branch in question.branches:
            self.grow(root, branch)
        return root

    def grow(self, root: RichTree, branch: doc.Branch) -> None:
        label = self.text(f"if {branch.condition}", "bold")
        if branch.outcome:
            label.append_text(self.text(f": {branch.outcome}", "not bold"))
        if branch.note:
            label.append_text(self.text(f" ({branch.note})", "not bold"))
        grown = root.add(label)
        if branch.leaves:
            more = len(branch.leaves) - _LEAVES
            named = "; ".join(leaf.head for leaf in branch.leaves[:_LEAVES])
            grown.add(self.text(f"would list: {named}" + (f"; {more} more" if more > 0 else "")))
        for question in branch.questions:
            grown.add(self.tree(question))

    def card(self, card: doc.Card) -> "RenderableType":
        head = self.text(f"{card.label}: {card.value}", "bold")
        parts: list[RenderableType] = [head]
        if card.bars:
            parts.append(self.text(f"  {card.bars_title}"))
            parts.append(Padding(self.bars(card.bars), (0, 0, 0, 4)))
        facts = self.text(in_one_line(card.lines))
        parts.append(Padding(facts, (0, 0, 0, 2)))
        return Group(*parts)

    def bars(self, bars: tuple[doc.Bar, ...]) -> Table:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(overflow="fold")
        grid.add_column(no_wrap=True, min_width=_BAR_CELLS)
        grid.add_column(overflow="fold")
        full, empty = ("#", ".") if self.plain else ("█", "░")
        for bar in bars:
            cells = round(min(max(bar.share, 0), 1) * _BAR_CELLS)
            drawn = full * cells + empty * (_BAR_CELLS - cells)
            grid.add_row(self.text(bar.label), Text(drawn), self.text(bar.text))
        return grid
