"""Runs one decision table over facts."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from immunopath.domain.guidance import Category, FiredRule, Level
from immunopath.guidelines.loader import Rule, Table
from immunopath.guidelines.predicates import Facts
from immunopath.guidelines.schema import OptionSpec, Rerank, Then

Row = tuple[str, str, Level | None]
"""Who asks for a test and why: rule id, reason, level."""


@dataclass(frozen=True)
class Hit:
    """A rule whose condition is true, and the outcomes that apply."""

    rule: Rule
    thens: tuple[Then, ...]

    def fired(self) -> FiredRule:
        """Return the line of the rule path."""
        return self.rule.fired


@dataclass(frozen=True)
class Listed:
    """A regimen that a rule lists."""

    spec: OptionSpec
    regimen_id: str
    rank: int
    rule_id: str
    references: tuple[str, ...]


@dataclass
class Effects:
    """What the hits of one table do, summed up in their order."""

    hits: tuple[Hit, ...] = ()
    listed: list[Listed] = field(default_factory=list)
    tests: list[tuple[str, Row]] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    reranks: list[Rerank] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    route: str | None = None
    append_first_line: int | None = None
    ici_stopped: bool = False
    review: bool = False


def run_table(table: Table, facts: Facts) -> tuple[Hit, ...]:
    """Return the hits in table order; a ``first`` table yields at most one.

    Only a condition that is *true* hits: false and unknown do not.
    """
    return effects(table, facts).hits


def effects(table: Table, facts: Facts) -> Effects:
    """Return what the table does on these facts; shared, never changed by its readers.

    The answer depends on nothing but the facts the table reads, so it is remembered by their
    values.
    """
    key = tuple(map(facts.get, table.reads))
    found: Effects = table.memo.get(key, _evaluated, table, facts)
    return found


def _evaluated(table: Table, facts: Facts) -> Effects:
    return sum_up(tuple(_hits(table, facts)))


def _hits(table: Table, facts: Facts) -> Iterator[Hit]:
    for rule in table.rules:
        if rule.condition.test(facts) is True:
            extra = tuple(then for case, then in rule.cases if case.test(facts) is True)
            yield Hit(rule, (rule.spec.then, *extra))
            if table.first_only:
                return


def sum_up(hits: tuple[Hit, ...]) -> Effects:
    """Return the effects of hits in their order."""
    total = Effects(hits=hits)
    for hit in hits:
        for then in hit.thens:
            _add_lists(total, hit, then)
            _add_course(total, hit, then)
    return total


def _add_lists(total: Effects, hit: Hit, then: Then) -> None:
    """What the outcome lists, asks for, flags and removes."""
    spec = hit.rule.spec
    for option in then.options:
        for regimen in option.regimens:
            total.listed.append(Listed(option, regimen, option.rank, spec.id, spec.references))
    level = then.level or spec.then.level
    total.tests += [(code, (spec.id, spec.summary, level)) for code in then.tests]
    for flag in then.flags:
        total.flags.setdefault(flag, spec.id)
    total.removed.update(then.remove)
    total.asks += then.asks
    if then.rerank:
        total.reranks.append(then.rerank)


def _add_course(total: Effects, hit: Hit, then: Then) -> None:
    """Where the outcome leads: route, category, and whether ICI is still possible."""
    total.route = then.route or total.route
    total.review = total.review or then.review or then.stop_ici
    total.ici_stopped = total.ici_stopped or then.stop_ici
    total.append_first_line = then.append_first_line or total.append_first_line
    if hit.rule.table != "pdl1":  # its facts were read before, see `pdl1`
        total.facts.update(then.set)
    if then.category:
        total.categories.append(then.category)
