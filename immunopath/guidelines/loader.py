"""Reads the knowledge files into typed, compiled, immutable tables."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, TypeVar

import yaml

from immunopath.domain.base import Frozen
from immunopath.domain.errors import KnowledgeError
from immunopath.domain.guidance import FiredRule, Level, ReferenceRow
from immunopath.guidelines.memo import Memo
from immunopath.guidelines.predicates import Condition, compile_condition
from immunopath.guidelines.schema import (
    FlagFile,
    FlagInfo,
    GeneFile,
    Manifest,
    QuestionFile,
    ReferenceFile,
    Regimen,
    RegimenFile,
    RuleSpec,
    StagingFile,
    TableFile,
    TestFile,
    TestInfo,
    Then,
    TrustFile,
)

M = TypeVar("M", bound=Frozen)


@dataclass(frozen=True)
class Rule:
    """A compiled row of a table."""

    spec: RuleSpec
    table: str
    section: str
    condition: Condition
    cases: tuple[tuple[Condition, Then], ...]

    @cached_property
    def reads(self) -> frozenset[str]:
        """Return all facts the rule and its cases read."""
        return self.condition.reads.union(*(c.reads for c, _ in self.cases))

    @cached_property
    def fired(self) -> FiredRule:
        """Return the line of the rule path; one object per rule."""
        spec = self.spec
        return FiredRule(
            rule_id=spec.id,
            table=self.table,
            section=self.section,
            summary=spec.summary,
            strength=spec.strength,
            references=spec.references,
            grade=spec.grade,
        )


@dataclass(frozen=True)
class Table:
    """A decision table."""

    name: str
    section: str
    first_only: bool
    rules: tuple[Rule, ...]
    memo: Memo[Any] = field(default_factory=Memo, compare=False, repr=False)
    """Hits by the values of `reads`; see `tables.run_table`."""

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Return every fact that some rule reads, in a fixed order."""
        return tuple(sorted(frozenset().union(*(rule.reads for rule in self.rules))))


@dataclass(frozen=True)
class Memos:
    """What the stages remember; each is a pure function of its key and of this knowledge."""

    drivers: Memo[Any] = field(default_factory=Memo)
    components: Memo[Any] = field(default_factory=Memo)
    options: Memo[Any] = field(default_factory=Memo)
    rows: Memo[Any] = field(default_factory=Memo)
    outlooks: Memo[Any] = field(default_factory=lambda: Memo(1024))


@dataclass(frozen=True)
class Knowledge:
    """Everything the engine knows."""

    manifest: Manifest
    version: str
    tables: Mapping[str, Table]
    regimens: Mapping[str, Regimen]
    references: Mapping[str, ReferenceRow]
    tests: Mapping[str, TestInfo]
    flags: Mapping[str, FlagInfo]
    questions: QuestionFile
    genes: GeneFile
    staging: StagingFile
    trust: TrustFile
    drug_classes: Mapping[str, frozenset[str]]
    """Class tokens of each drug, by name."""
    drug_names: Mapping[str, str]
    """Names and synonyms of drugs in small letters, to the name."""
    conditions: Mapping[int, Condition]
    """Compiled ``when`` of each branch and what-if of `questions`, by identity."""
    turnaround_at: Mapping[Level, str]
    """Turnaround of laboratory tests by level, where the level sets it."""
    memos: Memos = field(default_factory=Memos, compare=False, repr=False)

    def forget(self) -> None:
        """Empty every memory, e.g. to measure without them."""
        for table in self.tables.values():
            table.memo.clear()
        for memo in vars(self.memos).values():
            memo.clear()


def knowledge_texts() -> dict[str, str]:
    """Return the shipped knowledge files: name to text, sorted by name."""
    folder = files("immunopath.guidelines").joinpath("knowledge")
    found = {
        entry.name: entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def digest(texts: Mapping[str, str]) -> str:
    """Return the SHA-256 over names and contents, in name order."""
    total = hashlib.sha256()
    for name, text in sorted(texts.items()):
        total.update(name.encode() + b"\0" + text.encode() + b"\0")
    return total.hexdigest()


@cache
def load_knowledge() -> Knowledge:
    """Return the shipped knowledge, loaded once per process."""
    return build_knowledge(knowledge_texts())


def parsed(texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what each file holds, as read; raises `KnowledgeError` for what is no mapping."""
    return {name: _read_yaml(name, text) for name, text in texts.items()}


def build_knowledge(
    texts: Mapping[str, str], raw: Mapping[str, dict[str, Any]] | None = None
) -> Knowledge:
    """Build the tables from file texts; raises `KnowledgeError` when they are not consistent.

    ``raw`` is `parsed` of the same texts, for a caller that has it already.
    """
    raw = parsed(texts) if raw is None else raw
    manifest = _model(Manifest, raw, "manifest.yaml")
    tables = [_table(raw, name) for name in raw if name.startswith("rules_")]
    drugs = raw["drugs.yaml"]["drugs"]
    tests = _model(TestFile, raw, "tests.yaml")
    questions = _model(QuestionFile, raw, "questions.yaml")
    return Knowledge(
        manifest=manifest,
        version=f"{manifest.version}+{digest(texts)[:12]}",
        tables={table.name: table for table in tables},
        regimens={r.id: r for r in _model(RegimenFile, raw, "regimens.yaml").regimens},
        references={r.key: r for r in _model(ReferenceFile, raw, "references.yaml").references},
        tests={t.code: t for t in tests.tests},
        flags={f.code: f for f in _model(FlagFile, raw, "flags.yaml").flags},
        questions=questions,
        conditions=_asked_conditions(questions),
        genes=_model(GeneFile, raw, "genes.yaml"),
        staging=_model(StagingFile, raw, "staging.yaml"),
        trust=_model(TrustFile, raw, "trust.yaml"),
        drug_classes={d["name"]: frozenset(d["classes"]) for d in drugs},
        drug_names={
            str(name).lower(): d["name"] for d in drugs for name in (d["name"], *d["synonyms"])
        },
        turnaround_at=tests.turnaround_at,
    )


def _asked_conditions(file: QuestionFile) -> dict[int, Condition]:
    found = {id(item): compile_condition(item.when) for item in file.what_if}
    for question in file.questions:
        found |= {id(branch): compile_condition(branch.when) for branch in question.branches}
    return found


def _read_yaml(name: str, text: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, in C when built
    except yaml.YAMLError as error:
        raise KnowledgeError(f"{name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise KnowledgeError(f"{name} does not hold a mapping")
    return content


def _model(kind: type[M], raw: Mapping[str, dict[str, Any]], name: str) -> M:
    if name not in raw:
        raise KnowledgeError(f"knowledge file {name} is missing")
    try:
        return kind.model_validate(raw[name])
    except ValueError as error:
        raise KnowledgeError(f"{name}: {error}") from error


def _table(raw: Mapping[str, dict[str, Any]], name: str) -> Table:
    file = _model(TableFile, raw, name)
    rules = tuple(
        Rule(
            spec=spec,
            table=file.table,
            section=file.section,
            condition=compile_condition(spec.when),
            cases=tuple((compile_condition(c.when), c.then) for c in spec.cases),
        )
        for spec in file.rules
    )
    return Table(file.table, file.section, file.hit_policy == "first", rules)
