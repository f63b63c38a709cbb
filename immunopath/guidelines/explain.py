"""Why the engine says what it says: its guidance, the stages it reached, the nearly fired rules.

A rule has *nearly* fired when the one fact that keeps its condition open is unknown. What stays
of the condition once everything known is taken out is its residue; the residue names that fact
and says which answer would make the rule fire.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError
from immunopath.domain.guidance import Guidance
from immunopath.guidelines.casefile import clinical_of, read_yaml
from immunopath.guidelines.check import Vignette, parse_pred, vignettes_of
from immunopath.guidelines.decide import decide
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.derive import derive
from immunopath.guidelines.engine import evaluate, read_case
from immunopath.guidelines.loader import Knowledge, Rule, Table, load_knowledge
from immunopath.guidelines.overlay import PredictedFacts, overlay
from immunopath.guidelines.predicates import Facts, compile_condition
from immunopath.guidelines.stages import ordered_tables
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.guidelines.wording import condition_words, fact_name

_SEQUENCES = frozenset({"all", "any"})
_READ_APART = ("pdl1", "pdl1_notes")
"""Tables that are read on each PD-L1 result, not on the facts of the case."""


class NearRule(Frozen):
    """A rule that one unknown fact keeps open."""

    rule_id: str
    table: str
    section: str
    summary: str
    fact: str
    """The unknown fact, by its name in the tables."""
    fact_words: str
    would_fire_if: str
    """The open part of the condition, in words."""


class Explanation(Frozen):
    """A guidance with the way to it."""

    case: str
    """The case's name: the stem of its file, or the id of a vignette."""
    guidance: Guidance
    reached: tuple[str, ...]
    """Tables that were read for this case, in reading order."""
    nearly_fired: tuple[NearRule, ...] = ()
    open_facts: dict[str, str] = Field(default_factory=dict)
    """What ``guidance.missing`` means, in words."""


class StatedCase(Frozen):
    """A case as its file states it."""

    name: str
    clinical: ClinicalContext
    predicted: PredictedFacts | None = None
    """Only a vignette may carry predicted facts; a clinical file is refused with them."""


def load_case(path: Path, vignette: str | None = None) -> StatedCase:
    """Return the case of a clinical file, or one entry of a vignette file; one-line errors."""
    content = read_yaml(path)
    if isinstance(content, list):
        return _from_vignettes(path, vignettes_of(path, content), vignette)
    if vignette is not None:
        raise CaseFileError(
            f"{path}: --vignette names an entry of a list; this file holds one case"
        )
    if isinstance(content, dict) and isinstance(content.get("inputs"), dict):
        return _stated(path, str(content.get("id", path.stem)), content["inputs"])
    return StatedCase(name=path.stem, clinical=clinical_of(path, content))


def _from_vignettes(path: Path, entries: Sequence[Vignette], wanted: str | None) -> StatedCase:
    chosen = [entry for entry in entries if wanted in {None, entry.id}]
    if not chosen:
        raise CaseFileError(f"{path}: no vignette {wanted!r}")
    if len(chosen) > 1:
        first = entries[0].id
        text = f"{path}: holds {len(entries)} vignettes; name one, e.g. --vignette {first}"
        raise CaseFileError(text)
    return _stated(path, chosen[0].id, chosen[0].inputs)


def _stated(path: Path, name: str, inputs: Mapping[str, Any]) -> StatedCase:
    try:
        clinical = parse_inputs(inputs, defaults=True)
        return StatedCase(name=name, clinical=clinical, predicted=parse_pred(inputs.get("pred")))
    except CaseFileError as error:
        raise CaseFileError(f"{path}: {name}: {error}") from error


def explain(case: StatedCase, *, as_of: date, knowledge: Knowledge | None = None) -> Explanation:
    """Return the guidance of a case with the stages reached and the rules nearly fired."""
    kb = knowledge or load_knowledge()
    guidance = evaluate(case.clinical, as_of=as_of, knowledge=kb)
    if case.predicted is not None:
        guidance = overlay(guidance, case.predicted, knowledge=kb)
    watch = _Watch(kb.tables)
    _, pdl1, base = read_case(kb, case.clinical, as_of)
    decision = decide(replace(kb, tables=watch), base, pdl1.hits)
    assert decision.category is guidance.category, "explained another case than evaluated"
    asked = _unfired(kb, decision, watch.read)
    reached = {*watch.read, *(rule.table for rule in guidance.fired)}
    return Explanation(
        case=case.name,
        guidance=guidance,
        reached=tuple(t.name for t in ordered_tables(kb) if t.name in reached),
        nearly_fired=tuple(_nearly(kb, asked, decision.facts, derive(kb, base))),
        open_facts={name: fact_name(kb, name) for name in guidance.missing},
    )


class _Watch(dict[str, Table]):
    """The tables, noting which of them are read."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        super().__init__(tables)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Table:
        self.read.add(name)
        return super().__getitem__(name)


def _unfired(kb: Knowledge, decision: Decision, read: set[str]) -> Iterator[Rule]:
    """Yield the rules that were asked and did not fire."""
    fired = {hit.rule.spec.id for hit in decision.hits}
    for table in ordered_tables(kb):
        if table.name not in read or table.name in _READ_APART:
            continue
        for rule in table.rules:
            if rule.spec.id not in fired:
                yield rule
            elif table.first_only:
                break  # the rows behind the first hit were never asked


def _nearly(
    kb: Knowledge, rules: Iterable[Rule], facts: Facts, stated: Facts
) -> Iterator[NearRule]:
    for rule in rules:
        left = residue(rule.spec.when, facts)
        unknown = compile_condition(left).reads if left else frozenset()
        # what the engine itself sets (a route, the listed drugs) is no answer anybody could give
        if left is None or len(unknown) != 1 or not unknown <= stated.keys():
            continue
        (fact,) = unknown
        yield NearRule(
            rule_id=rule.spec.id,
            table=rule.table,
            section=rule.section,
            summary=rule.spec.summary,
            fact=fact,
            fact_words=fact_name(kb, fact),
            would_fire_if=condition_words(kb, left),
        )


def residue(source: Mapping[str, Any], facts: Facts) -> dict[str, Any] | None:
    """Return the part of a condition that unknown facts keep open; None when nothing is open."""
    if compile_condition(source).test(facts) is not None:
        return None
    return {
        key: _open(key, value, facts)
        for key, value in source.items()
        if _is_open(key, value, facts)
    }


def _is_open(key: str, value: Any, facts: Facts) -> bool:  # noqa: ANN401 - YAML content
    return compile_condition({key: value}).test(facts) is None


def _open(key: str, value: Any, facts: Facts) -> Any:  # noqa: ANN401
    if key in _SEQUENCES:
        return [left for item in value if (left := residue(item, facts)) is not None]
    if key == "not":
        return residue(value, facts)
    return value
