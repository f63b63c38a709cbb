"""`evaluate`: measured and clinical facts in, one guidance out. It takes no prediction."""

from collections.abc import Iterable
from datetime import date

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.guidance import (
    Category,
    ConditionalBranch,
    Guidance,
    ReferenceRow,
)
from immunopath.guidelines.contradictions import contradictions
from immunopath.guidelines.decide import decide
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.facts import base_facts
from immunopath.guidelines.hypotheses import outlook
from immunopath.guidelines.loader import Knowledge, load_knowledge
from immunopath.guidelines.pdl1 import Pdl1Reading, read_pdl1
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.rows import raised_flags, requested_tests
from immunopath.guidelines.schema import Then
from immunopath.guidelines.staging import possible_groups
from immunopath.guidelines.triage import triage
from immunopath.guidelines.validity import date_problems

_SHOWN_IF_MISSING = (
    "histology", "primary_site", "stage", "line", "ecog", "smoking", "age", "tps_stratum",
    "brain_mets", "transplant", "autoimmune", "ild", "prior_any",
)  # fmt: skip

_ICI_LEADS = frozenset({Category.ICI_MONO_OPTIONS, Category.ICI_CHEMO_OPTIONS})

_MEASURED = (
    "tps_stratum", "msi", "mmr", "msi_high", "driver_EGFR_ANY", "driver_ALK", "cellularity",
)  # fmt: skip


def evaluate(
    context: ClinicalContext, *, as_of: date, knowledge: Knowledge | None = None
) -> Guidance:
    """Return the guidance for a case.

    Pure: no clock (``as_of`` is the day of the question), no state; the same input gives the
    same bytes. Invalid or contradictory input is the category REJECT_INVALID_INPUT with the
    list of fields, not an exception.
    """
    kb = knowledge or load_knowledge()
    checked, pdl1, base = read_case(kb, context, as_of)
    decision = decide(kb, base, pdl1.hits)
    branches, changes = outlook(kb, base, decision)
    rejected = _problems(kb, checked, pdl1, decision)
    return Guidance(
        category=decision.category,
        headline=_headline(kb, decision),
        options=decision.options,
        conditional=branches,
        tests=requested_tests(kb, decision),
        flags=raised_flags(kb, decision, as_of),
        fired=tuple(hit.fired() for hit in decision.hits),
        what_would_change=changes,
        problems=rejected,
        missing=tuple(name for name in _SHOWN_IF_MISSING if base.get(name) is None)
        + tuple(sorted(f"gene_{g}" for g in kb.genes.gate if base.get(f"gene_{g}") is None)),
        measured=_measured(decision, pdl1),
        triage=triage(kb, decision),
        references=_references(kb, decision, branches),
        knowledge_version=kb.version,
        knowledge_date=kb.manifest.knowledge_date,
        as_of=as_of,
        research_use=kb.manifest.research_use,
    )


def read_case(
    kb: Knowledge, context: ClinicalContext, as_of: date
) -> tuple[ClinicalContext, Pdl1Reading, dict[str, Value]]:
    """Return the context with every problem found in it, its PD-L1 results and its base facts."""
    problems = (
        *context.problems, *date_problems(context, as_of), *contradictions(kb, context)
    )  # fmt: skip
    checked = context.model_copy(update={"problems": problems})
    pdl1 = read_pdl1(kb, checked, as_of)
    return checked, pdl1, base_facts(kb, checked, pdl1, as_of)


def _headline(kb: Knowledge, decision: Decision) -> str:
    """Return the words of the category; where ICI leads, whether drivers are excluded."""
    text = kb.manifest.headlines[decision.category]
    if decision.category in _ICI_LEADS and decision.facts.get("gate_complete") is not True:
        return f"{text.removesuffix('.')}; drivers not excluded."
    return text


def _measured(decision: Decision, pdl1: Pdl1Reading) -> dict[str, str]:
    """Return the measured facts by name; ``true`` and ``false`` for findings."""
    found: dict[str, str] = {}
    for name in _MEASURED:
        value = decision.facts.get(name)
        if value is not None:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    if pdl1.others:
        found["pdl1_not_used"] = "; ".join(pdl1.others)
    return found


def _problems(
    kb: Knowledge, context: ClinicalContext, pdl1: Pdl1Reading, decision: Decision
) -> tuple[InputProblem, ...]:
    if decision.category is not Category.REJECT_INVALID_INPUT:
        return ()
    stated = [
        InputProblem(
            field=then.field or "",
            code=then.reject,
            message=f"{hit.rule.spec.id}: {hit.rule.spec.summary}{_derived(kb, context, then)}",
        )
        for hit in decision.hits
        for then in hit.thens
        if then.reject and hit.rule.table == "validation"
    ]
    return (*context.problems, *pdl1.problems, *stated)


def _derived(kb: Knowledge, context: ClinicalContext, then: Then) -> str:
    """Return the stage group that T, N and M give, where the stated one contradicts them."""
    groups = possible_groups(context, kb.staging) if then.reject == "STAGE_INCONSISTENT" else None
    return f"; T, N and M give {' or '.join(sorted(groups))}" if groups else ""


def _references(
    kb: Knowledge, decision: Decision, branches: Iterable[ConditionalBranch]
) -> tuple[ReferenceRow, ...]:
    keys = [key for hit in decision.hits for key in hit.rule.spec.references]
    keys += [key for option in decision.options for key in option.evidence]
    keys += list(_branch_keys(branches))
    return tuple(kb.references[key] for key in dict.fromkeys(keys))


def _branch_keys(branches: Iterable[ConditionalBranch]) -> Iterable[str]:
    for branch in branches:
        for option in branch.options:
            yield from option.evidence
        yield from _branch_keys(branch.branches)
