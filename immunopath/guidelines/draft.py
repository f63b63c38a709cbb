"""What the stages of one evaluation gather; local to one call, never shared."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from immunopath.domain.guidance import Category, Level, Option
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import OptionSpec, Rerank
from immunopath.guidelines.tables import Hit, run_table


@dataclass(frozen=True)
class Listed:
    """A regimen that a rule lists."""

    spec: OptionSpec
    regimen_id: str
    rank: int
    rule_id: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """The outcome of the tables for one set of facts."""

    category: Category
    options: tuple[Option, ...]
    hits: tuple[Hit, ...]
    tests: dict[str, tuple[tuple[str, str, Level | None], ...]]
    """Test code to (rule id, reason, level)."""
    flags: dict[str, str]
    """Flag code to the rule that raised it."""
    asks: tuple[str, ...]
    facts: dict[str, Value]


@dataclass
class Draft:
    """The accumulator of one evaluation."""

    kb: Knowledge
    facts: dict[str, Value]
    hits: list[Hit] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    tests: dict[str, list[tuple[str, str, Level | None]]] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    reranks: list[Rerank] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    route: str | None = None
    append_first_line: int | None = None
    ici_stopped: bool = False
    review: bool = False

    def run(self, table: str) -> list[Hit]:
        """Run a table on the current facts and take over what its hits say."""
        hits = list(run_table(self.kb.tables[table], self.facts))
        self.take(hits)
        return hits

    def take(self, hits: Iterable[Hit]) -> None:
        """Add the outcomes of `hits`."""
        for hit in hits:
            self.hits.append(hit)
            level = hit.rule.spec.then.level
            for then in hit.thens:
                self._take_lists(hit, then.options, then.tests, then.level or level)
                for flag in then.flags:
                    self.flags.setdefault(flag, hit.rule.spec.id)
                self.removed.update(then.remove)
                self.asks += then.asks
                self.route = then.route or self.route
                self.facts.update(then.set if hit.rule.table != "pdl1" else {})
                self.review = self.review or then.review or then.stop_ici
                self.ici_stopped = self.ici_stopped or then.stop_ici
                self.append_first_line = then.append_first_line or self.append_first_line
                if then.rerank:
                    self.reranks.append(then.rerank)
                if then.category:
                    self.categories.append(then.category)

    def _take_lists(
        self, hit: Hit, options: Iterable[OptionSpec], tests: Iterable[str], level: Level | None
    ) -> None:
        spec = hit.rule.spec
        for option in options:
            for regimen in option.regimens:
                self.listed.append(Listed(option, regimen, option.rank, spec.id, spec.references))
        for code in tests:
            self.tests.setdefault(code, []).append((spec.id, spec.summary, level))
