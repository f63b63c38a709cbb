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
from immunopath.guidelines.decide import decide, early_reads, refilter
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.derive import assume, assumed
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import BranchSpec, QuestionSpec, WhatIf

_MAX_DEPTH = 6
_ASKING = frozenset({Category.TEST_FIRST, Category.BRIDGE_CHEMO_PENDING_TESTS})
"""Categories in which a missing gate value has its tree shown."""


Outlook = tuple[tuple[ConditionalBranch, ...], tuple[WhatWouldChange, ...]]


def outlook(kb: Knowledge, base: Mapping[str, Value], decision: Decision) -> Outlook:
    """Return the conditional tree and what would change the decision.

    Both follow from the base facts alone, so cases with the same facts (in a cohort, every case
    that is an image and nothing else) share them.
    """
    found: Outlook = kb.memos.outlooks.get(tuple(base.items()), _outlook, kb, base, decision)
    return found


def _outlook(kb: Knowledge, base: Mapping[str, Value], decision: Decision) -> Outlook:
    return conditional_tree(kb, base, decision), what_would_change(kb, base, decision)


def conditional_tree(
    kb: Knowledge, base: Mapping[str, Value], decision: Decision, depth: int = 0
) -> tuple[ConditionalBranch, ...]:
    """Return the branches of the first blocking question, each followed to options or an end."""
    if not decision.asks or depth >= _MAX_DEPTH or decision.category not in _ASKING:
        return ()
    question = next(q for q in kb.questions.questions if q.id == decision.asks[0])
    found = (
        _branch(kb, base, question, spec, depth)
        for spec in question.branches
        if _possible(spec, base, decision)
    )
    return tuple(branch for branch in found if branch is not None)


def _possible(spec: BranchSpec, base: Mapping[str, Value], decision: Decision) -> bool:
    """A branch is left out only when what was *measured or stated* rules it out."""
    if not _can_hold(decision, spec):
        return False
    return all(
        base.get(name) in {None, assumed(name, value)}
        for name, value in spec.set.items()
        if name != "all_gate"
    )


def _branch(
    kb: Knowledge, base: Mapping[str, Value], question: QuestionSpec, spec: BranchSpec, depth: int
) -> ConditionalBranch | None:
    if not spec.set:
        return ConditionalBranch(question=question.text, condition=spec.condition, note=spec.note)
    changed = assume(kb, base, spec.set | spec.also)
    outcome = decide(kb, changed)
    if outcome.category is Category.REJECT_INVALID_INPUT:
        return None  # the answer contradicts what was stated
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
        if base.get(item.fact) is None and _can_hold(decision, item)
        for result in item.results
    ]
    tried += _missing_genes(kb, base, decision)
    rows = (
        _row(decision, _under(kb, base, decision, changes), text, label)
        for text, label, changes in tried
    )
    return tuple(row for row in rows if row is not None)


def _can_hold(decision: Decision, item: BranchSpec | WhatIf) -> bool:
    """Return False where the condition of the branch or what-if is known to be false."""
    return decision.kb.conditions[id(item)].test(decision.facts) is not False


def _under(
    kb: Knowledge, base: Mapping[str, Value], now: Decision, changes: Mapping[str, Any]
) -> Decision:
    """Decide under a hypothesis; what only filters read starts from the filters."""
    if now.before_filters is not None and not early_reads(kb) & changes.keys():
        return refilter(now.before_filters, assume(kb, {}, changes, known=base))
    return decide(kb, assume(kb, base, changes), listing_only=True)


def _row(now: Decision, then: Decision, text: str, label: str) -> WhatWouldChange | None:
    before, after = now.regimen_ids, then.regimen_ids
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
        if all(base.get(name) is None for name in branch.set) and _can_hold(decision, branch)
    ]
