"""Runs one decision table over facts."""

from collections.abc import Iterator
from dataclasses import dataclass

from immunopath.domain.guidance import FiredRule
from immunopath.guidelines.loader import Rule, Table
from immunopath.guidelines.predicates import Facts
from immunopath.guidelines.schema import Then


@dataclass(frozen=True)
class Hit:
    """A rule whose condition is true, and the outcomes that apply."""

    rule: Rule
    thens: tuple[Then, ...]

    def fired(self) -> FiredRule:
        """Return the line of the rule path."""
        spec = self.rule.spec
        return FiredRule(
            rule_id=spec.id,
            table=self.rule.table,
            section=self.rule.section,
            summary=spec.summary,
            strength=spec.strength,
            references=spec.references,
            grade=spec.grade,
        )


def run_table(table: Table, facts: Facts) -> Iterator[Hit]:
    """Yield the hits in table order; a ``first`` table yields at most one.

    Only a condition that is *true* hits: false and unknown do not.
    """
    for rule in table.rules:
        if rule.condition.test(facts) is True:
            extra = tuple(then for case, then in rule.cases if case.test(facts) is True)
            yield Hit(rule, (rule.spec.then, *extra))
            if table.first_only:
                return
