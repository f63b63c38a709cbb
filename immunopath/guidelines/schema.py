"""The shapes of the knowledge files. Unknown keys are refused when a file is loaded."""

from datetime import date
from typing import Any, Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.guidance import Category, Level
from immunopath.guidelines.schema_vocabulary import (
    BayesSpec,
    BranchSpec,
    FileHead,
    FlagFile,
    FlagInfo,
    GeneFile,
    QuestionFile,
    QuestionSpec,
    ReferenceFile,
    StagingFile,
    TestFile,
    TestInfo,
    TrustFile,
    UnknownSpec,
    WhatIf,
    WhatIfResult,
)

__all__ = [
    "BayesSpec", "BranchSpec", "CaseSpec", "Component", "FileHead", "FlagFile", "FlagInfo",
    "GeneFile", "Histo", "Manifest", "OptionSpec", "QuestionFile", "QuestionSpec",
    "ReferenceFile", "Regimen", "RegimenFile", "Rerank", "RuleSpec", "StagingFile", "TableFile",
    "TestFile", "TestInfo", "Then", "Token", "TrustFile", "UnknownSpec", "WhatIf", "WhatIfResult",
]  # fmt: skip

Token = str
"""A drug name, a class token, a regimen id, ``ICI_MONO`` or ``ALL``."""


class OptionSpec(Frozen):
    """Regimens that a rule lists at one rank."""

    regimens: tuple[str, ...]
    rank: int = Field(ge=1)
    reason: str
    strength: str
    note: str = ""
    """Printed with the option, e.g. that this use lies outside the US label."""


class Rerank(Frozen):
    """Move regimens to an absolute rank, or by a negative number of ranks."""

    regimens: tuple[str, ...]
    rank: int


class Then(Frozen):
    """What a rule does when its condition is true."""

    category: Category | None = None
    route: str | None = None
    reject: str | None = None
    field: str | None = None
    options: tuple[OptionSpec, ...] = ()
    tests: tuple[str, ...] = ()
    level: Level | None = None
    flags: tuple[str, ...] = ()
    remove: tuple[Token, ...] = ()
    rerank: Rerank | None = None
    asks: tuple[str, ...] = ()
    set: dict[str, str] = Field(default_factory=dict)
    review: bool = False
    stop_ici: bool = False
    append_first_line: int | None = None
    advance: tuple[str, ...] = ()


class CaseSpec(Frozen):
    """A refinement of a rule."""

    when: dict[str, Any]
    then: Then


class RuleSpec(Frozen):
    """One row of a table."""

    id: str
    when: dict[str, Any]
    summary: str
    then: Then = Then()
    cases: tuple[CaseSpec, ...] = ()
    concerns: tuple[Token, ...] = ()
    """Barriers: once fired, a caution is printed with options that carry one of these tokens."""
    strength: str = "rule"
    references: tuple[str, ...] = Field(min_length=1)
    grade: Literal["V", "M"]

    @property
    def thens(self) -> tuple[Then, ...]:
        """Return every outcome the rule can have."""
        return (self.then, *(case.then for case in self.cases))


class TableFile(FileHead):
    """A decision table with its hit policy."""

    table: str
    hit_policy: Literal["first", "collect"]
    rules: tuple[RuleSpec, ...]


class Manifest(FileHead):
    """Version, dates and fixed words."""

    version: str
    knowledge_date: date
    stale_after_days: int
    nccn_version_checked: str | None
    research_use: str
    headlines: dict[Category, str]
    category_priority: tuple[Category, ...]


Histo = Literal["nonsquamous", "squamous"]
Component = tuple[str, ...] | dict[Histo, tuple[str, ...]]


class Regimen(Frozen):
    """One row of the regimen catalogue (2.15)."""

    id: str
    name: str
    components: tuple[Component, ...]
    histologies: tuple[Histo, ...]
    tps_min: int
    excludes_genes: tuple[str, ...]
    setting: Literal["metastatic", "curative", "any"]
    regulatory: Literal["FDA-R", "FDA-A", "OFF", "unverified"]
    status: Literal["active", "pending_unverified"]
    schedule: str
    indication: str
    headline: str
    label_assays: tuple[str, ...] = ()
    """PD-L1 assays of the US label (1.3); empty where the label names none."""
    references: tuple[str, ...]
    grade: Literal["V", "M"]

    def alternatives(self, groups: frozenset[str]) -> tuple[tuple[str, ...], ...]:
        """Return each component's interchangeable drugs for the given histology groups."""
        found: list[tuple[str, ...]] = []
        for component in self.components:
            if isinstance(component, dict):
                names = [d for group, drugs in component.items() if group in groups for d in drugs]
                found.append(tuple(dict.fromkeys(names)))
            else:
                found.append(component)
        return tuple(found)

    def all_drugs(self) -> frozenset[str]:
        """Return every drug the regimen can contain."""
        every = self.alternatives(frozenset({"nonsquamous", "squamous"}))
        return frozenset(drug for component in every for drug in component)


class RegimenFile(FileHead):
    """The catalogue."""

    regimens: tuple[Regimen, ...]
