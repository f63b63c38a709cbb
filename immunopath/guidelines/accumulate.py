"""What the stages of one evaluation gather; local to one call, never shared."""

from dataclasses import dataclass, field, replace
from typing import Self

from immunopath.domain.guidance import Category
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import Rerank
from immunopath.guidelines.tables import Effects, Hit, Listed, Row, effects, sum_up


@dataclass
class Draft:
    """The accumulator of one evaluation."""

    kb: Knowledge
    facts: dict[str, Value]
    hits: list[Hit] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    tests: dict[str, list[Row]] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    reranks: list[Rerank] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    route: str | None = None
    append_first_line: int | None = None
    ici_stopped: bool = False
    review: bool = False
    listing_only: bool = False

    def copy(self) -> Self:
        """Return a draft of its own that goes on from here."""
        return replace(
            self,
            facts=dict(self.facts),
            hits=list(self.hits),
            categories=list(self.categories),
            listed=list(self.listed),
            tests={code: list(rows) for code, rows in self.tests.items()},
            flags=dict(self.flags),
            removed=set(self.removed),
            reranks=list(self.reranks),
            asks=list(self.asks),
        )

    def run(self, table: str) -> tuple[Hit, ...]:
        """Run a table on the current facts and take over what its hits say."""
        found = effects(self.kb.tables[table], self.facts)
        if found.hits:
            self._take(found)
        return found.hits

    def take(self, hits: tuple[Hit, ...]) -> None:
        """Add the outcomes of `hits`."""
        if hits:
            self._take(sum_up(hits))

    def _take(self, found: Effects) -> None:
        self.hits += found.hits
        self.listed += found.listed
        for code, row in found.tests:
            self.tests.setdefault(code, []).append(row)
        for flag, rule in found.flags.items():
            self.flags.setdefault(flag, rule)  # the first rule that raised one keeps it
        self.removed |= found.removed
        self.reranks += found.reranks
        self.asks += found.asks
        self.categories += found.categories
        self.facts.update(found.facts)
        self.route = found.route or self.route
        self.append_first_line = found.append_first_line or self.append_first_line
        self.ici_stopped = self.ici_stopped or found.ici_stopped
        self.review = self.review or found.review
