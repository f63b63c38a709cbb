"""What stands beside an option: barriers that could be checked, open questions, remarks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import OptionSpec, Regimen, RuleSpec, UnknownSpec

_MIXED_NOTES = {
    "pemetrexed": "pemetrexed requires a predominant non-squamous component",
    "bevacizumab": "bevacizumab requires a predominant non-squamous component",
}
_OPTION_FACTS = frozenset({"option_drugs", "option_classes", "option_regimens"})


class _Item(Protocol):
    @property
    def spec(self) -> OptionSpec: ...


class _Parts(Protocol):
    @property
    def drugs(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> frozenset[str]: ...


class _Chosen(Protocol):
    @property
    def regimen(self) -> Regimen: ...
    @property
    def drugs(self) -> tuple[str, ...]: ...
    @property
    def parts(self) -> _Parts: ...
    @property
    def items(self) -> Sequence[_Item]: ...


def checked_barriers(kb: Knowledge, facts: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the barrier rules that stated facts rule out (2.14)."""
    table = kb.tables["barriers"]
    key = ("checked", *map(facts.get, table.reads))
    found: tuple[str, ...] = kb.memos.rows.get(key, _checked, kb, facts)
    return found


def _checked(kb: Knowledge, facts: Mapping[str, Value]) -> tuple[str, ...]:
    return tuple(
        rule.spec.id
        for rule in kb.tables["barriers"].rules
        if rule.reads - _OPTION_FACTS
        and not _asks_for_the_unknown(rule.spec.when)
        and rule.condition.test(facts) is False
    )


def fired_cautions(kb: Knowledge, facts: Mapping[str, Value]) -> tuple[RuleSpec, ...]:
    """Return the barrier rules that fired and name what they concern."""
    table = kb.tables["barriers"]
    key = ("cautions", *map(facts.get, table.reads))
    found: tuple[RuleSpec, ...] = kb.memos.rows.get(key, _cautions, kb, facts)
    return found


def _cautions(kb: Knowledge, facts: Mapping[str, Value]) -> tuple[RuleSpec, ...]:
    rules = kb.tables["barriers"].rules
    return tuple(r.spec for r in rules if r.spec.concerns and r.condition.test(facts) is True)


def _asks_for_the_unknown(when: Mapping[str, object]) -> bool:
    """A rule that fires because nobody said is no check of a counter-indication."""
    return "unknown" in when


def open_facts(kb: Knowledge, facts: Mapping[str, Value]) -> tuple[UnknownSpec, ...]:
    """Return the facts of the list of unknowns that nobody stated."""
    return tuple(item for item in kb.questions.unknowns if facts.get(item.fact) is None)


def unknowns_of(
    kb: Knowledge, unstated: tuple[UnknownSpec, ...], regimen: Regimen, parts: _Parts
) -> tuple[str, ...]:
    """Return what has to be cleared before the option is final."""
    key = ("unknowns", regimen.id, parts.drugs, *(item.fact for item in unstated))
    found: tuple[str, ...] = kb.memos.rows.get(key, _unknowns, unstated, regimen, parts)
    return found


def _unknowns(
    unstated: tuple[UnknownSpec, ...], regimen: Regimen, parts: _Parts
) -> tuple[str, ...]:
    tokens = {"ANY", regimen.id, *parts.drugs, *parts.classes}
    named = (item.text for item in unstated if not tokens.isdisjoint(item.tokens))
    return tuple(dict.fromkeys(named))


def notes_of(
    facts: Mapping[str, Value], chosen: _Chosen, cautions: Sequence[RuleSpec] = ()
) -> tuple[str, ...]:
    """Return fired cautions, then the remarks on label, approval, histology, assay, fitness."""
    parts = chosen.parts
    tokens = {chosen.regimen.id, *parts.drugs, *parts.classes}
    fired = (
        f"caution: {rule.summary} ({rule.id})"
        for rule in cautions
        if not tokens.isdisjoint(rule.concerns)
    )
    return tuple(dict.fromkeys((*fired, *_notes(facts, chosen))))


def _notes(facts: Mapping[str, Value], chosen: _Chosen) -> Iterable[str]:
    regimen = chosen.regimen
    yield from (item.spec.note for item in chosen.items if item.spec.note)
    unclear = [g for g in regimen.excludes_genes if facts.get(f"gene_{g}") is None]
    if unclear:
        yield f"label requires {'/'.join(unclear)} negative: not established here"
    if facts.get("mixed") is True:
        yield from (_MIXED_NOTES[drug] for drug in chosen.drugs if drug in _MIXED_NOTES)
    yield from _assay(facts, regimen)
    if regimen.regulatory == "FDA-A":
        yield "accelerated approval"
    if regimen.regulatory == "OFF":
        yield "off label in US NSCLC"
    if facts.get("ecog") is None:
        yield "valid for ECOG 0-1; ECOG not stated"
    if facts.get("agent_given_as_adjuvant") in chosen.drugs:
        yield "the same agent was given as adjuvant therapy; the interval decides"
    if facts.get("strength_at_most") is not None:
        yield "ECOG 2: the trials enrolled ECOG 0-1"


def cap_of(facts: Mapping[str, Value], chosen: _Chosen) -> str | None:
    """Return the strength that is shown instead of that of the trials, or None."""
    again = facts.get("agent_given_as_adjuvant")
    if again is not None and again in chosen.drugs:
        return "C"
    cap = facts.get("strength_at_most")
    return None if cap is None else str(cap)


def _assay(facts: Mapping[str, Value], regimen: Regimen) -> Iterable[str]:
    """1.3: the label names an assay; another one, or none stated, is said, never converted."""
    if not regimen.label_assays or facts.get("tps_stratum") in {None, "unobtainable"}:
        return
    assay, named = facts.get("pdl1_assay"), " or ".join(regimen.label_assays)
    if assay is None:
        yield f"PD-L1 assay of the label: {named}; the assay of this result is not stated"
    elif assay not in regimen.label_assays:
        yield f"PD-L1 assay of the label: {named}; this result is by {assay}"
