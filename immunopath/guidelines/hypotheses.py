"""What a missing value would decide: the conditional tree and 'what would change this'.

Both re-run the tables under a hypothesis, so there is no second copy of the knowledge. A
prediction takes no part: it may order the tests, it never prunes the tree.
"""

from collections.abc import Mapping
from typing import Any

from immunopath.domain.guidance import (
    WITHOUT_OPTIONS,
    Category,
    ConditionalBranch,
    WhatWouldChange,
)
from immunopath.guidelines.decide import decide
from immunopath.guidelines.derive import assume
from immunopath.guidelines.draft import Decision
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value, compile_condition
from immunopath.guidelines.schema import BranchSpec, QuestionSpec

_MAX_DEPTH = 5


def conditional_tree(
    kb: Knowledge, base: Mapping[str, Value], decision: Decision, depth: int = 0
) -> tuple[ConditionalBranch, ...]:
    """Return the branches of the first blocking question, each followed to options or an end."""
    if not decision.asks or depth >= _MAX_DEPTH or decision.category is not Category.TEST_FIRST:
        return ()
    question = next(q for q in kb.questions.questions if q.id == decision.asks[0])
    return tuple(
        _branch(kb, base, question, spec, depth)
        for spec in question.branches
        if compile_condition(spec.when).test(decision.facts) is not False
    )


def _branch(
    kb: Knowledge, base: Mapping[str, Value], question: QuestionSpec, spec: BranchSpec, depth: int
) -> ConditionalBranch:
    if not spec.set:
        return ConditionalBranch(question=question.text, condition=spec.condition, note=spec.note)
    changed = assume(kb, base, spec.set)
    outcome = decide(kb, changed)
    further = conditional_tree(kb, changed, outcome, depth + 1)
    return ConditionalBranch(
        question=question.text,
        condition=spec.condition,
        category=None if further else outcome.category,
        options=outcome.options,
        note=spec.note,
        branches=further,
    )


def what_would_change(
    kb: Knowledge, base: Mapping[str, Value], decision: Decision
) -> tuple[WhatWouldChange, ...]:
    """Return, for each missing value, the options that each result would open or close."""
    if decision.category in WITHOUT_OPTIONS - {Category.TEST_FIRST}:
        return ()
    tried = [
        (item.text, result.label, result.set)
        for item in kb.questions.what_if
        if base.get(item.fact) is None
        for result in item.results
    ]
    tried += _missing_genes(kb, base, decision)
    rows = (
        _row(decision, decide(kb, assume(kb, base, changes)), text, label)
        for text, label, changes in tried
    )
    return tuple(row for row in rows if row is not None)


def _row(now: Decision, then: Decision, text: str, label: str) -> WhatWouldChange | None:
    before = {o.regimen_id for o in now.options}
    after = {o.regimen_id for o in then.options}
    if before == after and then.category is now.category:
        return None
    return WhatWouldChange(
        question=text,
        if_result=label,
        category=then.category,
        opens=tuple(sorted(after - before)),
        closes=tuple(sorted(before - after)),
    )


def _missing_genes(
    kb: Knowledge, base: Mapping[str, Value], decision: Decision
) -> list[tuple[str, str, dict[str, Any]]]:
    """Drivers that are missing while options stand (squamous, later lines)."""
    if not decision.facts.get("gate_missing") or decision.category is Category.TEST_FIRST:
        return []
    question = next(q for q in kb.questions.questions if q.id == "drivers")
    return [
        (question.text, branch.condition, branch.set)
        for branch in question.branches
        if all(base.get(name) is None for name in branch.set)
    ]
