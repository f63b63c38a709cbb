"""An explanation on a terminal: the way to the guidance as trees, at 80 columns, without colour.

Order: the rule path, then what is missing or in conflict, and only then category and options.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Category, ConditionalBranch, Guidance, Option
from immunopath.guidelines.citations import citation
from immunopath.guidelines.explain import Explanation
from immunopath.guidelines.stages import OTHER, STAGES
from immunopath.reporting import guidance_view as rules
from immunopath.reporting.clinical_view import open_results
from immunopath.reporting.document import Entries, Entry, Pair, Para, Section
from immunopath.reporting.option_words import with_regimen_names
from immunopath.reporting.path_view import missing_rows, path_steps
from immunopath.reporting.terminal import MAX_WIDTH
from immunopath.reporting.text import ascii_only, cleaned, plain_name

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_MARK = 12
"""Widest mark before it folds."""
Part = tuple[str, str, "Iterable[RenderableType]"]
"""Title, note and content of a section."""


@dataclass(frozen=True)
class ExplanationReport:
    """An explanation that draws itself on any rich console. No text of it is read as markup."""

    explanation: Explanation
    clinical: ClinicalContext

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield the page at the console's width, at most `MAX_WIDTH` columns."""
        width = min(options.max_width, MAX_WIDTH)
        page = _Page(cleaned(self.explanation), cleaned(self.clinical), options.ascii_only)
        yield from console.render(Group(*page.lay_out()), options.update(width=width))


@dataclass(frozen=True)
class _Page:
    shown: Explanation
    clinical: ClinicalContext
    plain: bool

    @property
    def guidance(self) -> Guidance:
        return self.shown.guidance

    def text(self, text: str, style: str = "") -> Text:
        return Text(ascii_only(text) if self.plain else text, style=style, overflow="fold")

    def lay_out(self) -> "Iterator[RenderableType]":
        said = self.guidance
        yield Panel(self.text(said.research_use, "bold"), box=box.HEAVY, padding=(0, 1))
        yield self.text(f"Case {self.shown.case}, as of {said.as_of.isoformat()}", "bold")
        line = "-" if self.plain else "─"
        for title, note, content in self.parts():
            yield Text()
            heading = self.text(title.upper(), "bold")
            yield Rule(heading, characters=line, align="left", style="")
            if note:
                yield self.text(note, "italic")
            yield from content
        yield Text()
        yield self.text(said.research_use, "bold")

    def parts(self) -> Iterator[Part]:
        said = self.guidance
        yield "Rule path", "Stages in their fixed order.", [self.path()]
        yield "Missing, conflicting or stale", "", self.missing()
        yield f"Category: {plain_name(said.category)}", "", self.category()
        yield self.entries(rules.options_section(said))
        if said.conditional:
            section = rules.conditional_section(said)
            yield section.title, section.note, self.conditional(said.conditional)
        yield self.entries(rules.tests_section(said))
        yield self.entries(rules.flags_section(said))
        yield "What would change this", "One result at a time.", self.changes()
        note = "Rules that one unknown fact keeps open, with the answer that would make them fire."
        yield "Nearly fired", note, self.nearly()
        yield "Evidence", "[V] seen in a stored public source, [M] from memory.", self.evidence()
        yield "Knowledge", "", [self.knowledge()]

    def path(self) -> Tree:
        """Return the stages; one that was never reached says so."""
        root = Tree(self.text(f"rules that fired for {self.shown.case}", "bold"))
        steps = path_steps(self.guidance)
        for number, (stage, tables) in enumerate((*STAGES, (OTHER, ())), start=1):
            entries = steps.get(stage, ())
            if stage == "triage" and self.guidance.triage.reasons:
                reasons = "; ".join(self.guidance.triage.reasons)
                root.add(self.text(f"{number} {stage}: {reasons}"))
            elif entries:
                node = root.add(self.text(f"{number} {stage}", "bold"))
                for entry in entries:
                    node.add(self.fired(entry))
            elif stage != OTHER:
                reached = set(tables) & set(self.shown.reached)
                said = "no rule fired" if reached else "not reached"
                root.add(self.text(f"{number} {stage}: {said}"))
        return root

    def fired(self, entry: Entry) -> Text:
        keys = ", ".join(row.label for row in entry.lines)
        below = "; ".join((*entry.tags, f"cites {keys}"))
        return self.text(f"{entry.mark} ", "bold").append_text(
            self.text(f"{entry.head}\n{below}", "not bold")
        )

    def missing(self) -> "Iterator[RenderableType]":
        words = self.shown.open_facts
        found = list(missing_rows(self.guidance, open_results(self.clinical), words))
        near = {rule.fact: rule.fact_words for rule in self.shown.nearly_fired}
        also = [text for fact, text in near.items() if fact not in words]
        if also:
            rest = f"{'; '.join(also)}: each keeps a rule open, see Nearly fired"
            found.append(Pair("Not stated", rest, known=False))
        yield from map(self.run_in, found)
        if not found:
            yield self.text("Nothing missing, conflicting or stale was noted.")

    def category(self) -> "Iterator[RenderableType]":
        yield self.text(self.guidance.headline, "bold")
        for flag in self.guidance.flags:
            if flag.severity == "stop":
                yield self.text(f"STOP: {flag.meaning} [{flag.code}; rule {flag.rule_id}]")

    def entries(self, section: Section) -> Part:
        """Return a section as its entries; what holds for all of them is said once, before them."""
        items = [e for block in section.blocks if isinstance(block, Entries) for e in block.items]
        if not items:
            words = [block.text for block in section.blocks if isinstance(block, Para)]
            return section.title, section.note, [self.text(" ".join(words))]
        every = [row for row in items[0].lines if all(row in item.lines for item in items[1:])]
        shared = every if len(items) > 1 else []
        common = [self.run_in(replace(row, label=f"{row.label} (all)")) for row in shared]
        width = max(len(item.mark) for item in items)
        return (
            section.title,
            section.note,
            [*common, *(self.entry(e, shared, width) for e in items)],
        )

    def entry(self, entry: Entry, shared: Sequence[Pair], width: int) -> Table:
        tags = f" [{'; '.join(entry.tags)}]" if entry.tags else ""
        head = self.text(entry.head, "bold").append_text(self.text(tags, "not bold"))
        return self.marked(entry.mark, width, head, *map(self.run_in, _apart(entry.lines, shared)))

    def marked(self, mark: str, width: int, *lines: Text) -> Table:
        """Return lines beside a mark, so that the eye finds where the next item begins."""
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(width=min(max(width, 1), _MARK), overflow="fold")
        grid.add_column(ratio=1, overflow="fold")
        grid.add_row(self.text(mark or "-", "bold"), Group(*lines))
        return grid

    def run_in(self, row: Pair) -> Text:
        detail = f" ({row.detail})" if row.detail else ""
        shown = self.text(f"{row.label}: ", "bold")
        return shown.append_text(self.text(f"{row.value}{detail}", "not bold"))

    def conditional(self, branches: tuple[ConditionalBranch, ...]) -> Iterator[Tree]:
        """Yield each question with its answers; an answer leads to options or asks further."""
        for question, answers in groupby(branches, key=lambda branch: branch.question):
            root = Tree(self.text(question, "bold"))
            for branch in answers:
                node = root.add(self.branch(branch))
                for line in _listed(branch.options):
                    node.add(self.text(line))
                for tree in self.conditional(branch.branches):
                    node.add(tree)
            yield root

    def branch(self, branch: ConditionalBranch) -> Text:
        outcome = f" -> {plain_name(branch.category)}" if branch.category else ""
        note = f" ({branch.note})" if branch.note else ""
        shown = self.text(f"if {branch.condition}", "bold")
        return shown.append_text(self.text(f"{outcome}{note}", "not bold"))

    def changes(self) -> "Iterator[RenderableType]":
        rows = with_regimen_names(self.guidance).what_would_change
        for question, answers in groupby(rows, key=lambda row: row.question):
            root = Tree(self.text(question, "bold"))
            for row in answers:
                parts = [
                    f"if {row.if_result} -> {plain_name(row.category)}",
                    *([f"opens {', '.join(row.opens)}"] if row.opens else []),
                    *([f"closes {', '.join(row.closes)}"] if row.closes else []),
                ]
                root.add(self.text("\n".join(parts)))
            yield root
        if rows or self.guidance.category is Category.REJECT_INVALID_INPUT:
            return
        if self.guidance.category is Category.TEST_FIRST:
            yield self.text("What each answer would list stands in the conditional tree, if any.")
        else:
            yield self.text("No single missing value of those tried would change the options.")

    def nearly(self) -> "Iterator[RenderableType]":
        width = max((len(rule.rule_id) for rule in self.shown.nearly_fired), default=0)
        for rule in self.shown.nearly_fired:
            condition = self.text(f"if {rule.would_fire_if}", "bold")
            yield self.marked(rule.rule_id, width, condition, self.text(rule.summary))
        if not self.shown.nearly_fired:
            yield self.text("None.")

    def evidence(self) -> "Iterator[RenderableType]":
        width = max((len(row.key) for row in self.guidance.references), default=0)
        for row in self.guidance.references:
            yield self.marked(row.key, width, self.text(citation(row)))
        if not self.guidance.references:
            yield self.text("No reference is cited.")

    def knowledge(self) -> Text:
        said = self.guidance
        return self.text(f"Version {said.knowledge_version}, dated {said.knowledge_date}.")


def _apart(rows: Sequence[Pair], shared: Sequence[Pair]) -> Iterator[Pair]:
    yield from (row for row in rows if row not in shared)


def _listed(options: tuple[Option, ...]) -> Iterator[str]:
    """Yield the options of a branch by rank: what would be listed, not what is."""
    for rank, group in groupby(options, key=lambda option: option.rank):
        yield f"would list, rank {rank}: {'; '.join(option.name for option in group)}"
