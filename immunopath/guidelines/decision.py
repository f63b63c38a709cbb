"""The outcome of the tables for one set of facts."""

from dataclasses import dataclass
from functools import cached_property

from immunopath.domain.guidance import Category, Level, Option
from immunopath.guidelines.accumulate import Draft
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.options import Chosen, write_out
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.tables import Hit


@dataclass(frozen=True)
class Decision:
    """What the tables say; options are written out only when they are read."""

    kb: Knowledge
    category: Category
    chosen: tuple[Chosen, ...]
    hits: tuple[Hit, ...]
    tests: dict[str, tuple[tuple[str, str, Level | None], ...]]
    """Test code to (rule id, reason, level)."""
    flags: dict[str, str]
    """Flag code to the rule that raised it."""
    asks: tuple[str, ...]
    facts: dict[str, Value]
    before_filters: Draft | None = None
    """The draft as it stood before barriers, fitness and overlays; None without options."""

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """Return the options as they are reported."""
        return write_out(self.kb, self.facts, self.chosen)

    @cached_property
    def regimen_ids(self) -> frozenset[str]:
        """Return the ids of the regimens that are listed."""
        return frozenset(item.regimen.id for item in self.chosen)
