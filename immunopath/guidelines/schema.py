"""The shapes of the knowledge files. Unknown keys are refused when a file is loaded."""

from datetime import date
from typing import Any, Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.guidance import BayesRow, Category, Level, ReferenceRow

Token = str
"""A drug name, a class token, a regimen id, ``ICI_MONO`` or ``ALL``."""


class OptionSpec(Frozen):
    """Regimens that a rule lists at one rank."""

    regimens: tuple[str, ...]
    rank: int = Field(ge=1)
    reason: str
    strength: str


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
    strength: str = "rule"
    references: tuple[str, ...] = Field(min_length=1)
    grade: Literal["V", "M"]


class FileHead(Frozen):
    """Keys every knowledge file carries."""

    kind: str
    section: str = ""
    last_reviewed: str = ""
    clinician_review: str = "none"


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


class ReferenceFile(FileHead):
    """The reference list."""

    references: tuple[ReferenceRow, ...]


class TestInfo(Frozen):
    """A test code of the vocabulary."""

    __test__ = False

    code: str
    name: str
    level: Level
    turnaround: str
    laboratory: bool


class TestFile(FileHead):
    """The test vocabulary."""

    __test__ = False

    tests: tuple[TestInfo, ...]


class FlagInfo(Frozen):
    """A flag code of the vocabulary."""

    code: str
    meaning: str
    severity: Literal["info", "caution", "stop"]


class FlagFile(FileHead):
    """The flag vocabulary."""

    flags: tuple[FlagInfo, ...]


class BranchSpec(Frozen):
    """A possible answer and the facts it would establish."""

    condition: str
    set: dict[str, Any]
    note: str = ""
    when: dict[str, Any] = Field(default_factory=dict)
    """Shown unless this is known to be false."""


class QuestionSpec(Frozen):
    """A question that blocks, with the answers the conditional tree shows."""

    id: str
    text: str
    branches: tuple[BranchSpec, ...]


class WhatIfResult(Frozen):
    """One result of a missing value."""

    label: str
    set: dict[str, Any]


class WhatIf(Frozen):
    """A missing value whose results are tried for 'what would change this'."""

    fact: str
    text: str
    results: tuple[WhatIfResult, ...]


class QuestionFile(FileHead):
    """Questions of the conditional tree."""

    questions: tuple[QuestionSpec, ...]
    what_if: tuple[WhatIf, ...]


class GeneFile(FileHead):
    """Which genes gate, which methods exclude, which alterations are drivers."""

    gate: tuple[str, ...]
    panel: tuple[str, ...]
    adequate_negative: dict[str, tuple[str, ...]]
    rna_preferred: tuple[str, ...]
    drivers: dict[str, dict[str, tuple[str, ...]]]
    actionable: tuple[str, ...]
    truncal: tuple[str, ...]
    nonsquamous_only: tuple[str, ...]
    synonyms: dict[str, str]


class StagingFile(FileHead):
    """Stage groups by edition."""

    references: tuple[str, ...]
    grade: str
    AJCC8: dict[str, dict[str, str]]
    AJCC9: dict[str, dict[str, str]]
    t1_n0: dict[str, str]


class BayesSpec(Frozen):
    """A row of the Bayes table before PPV and NPV are computed."""

    target: str
    prevalence: float
    sensitivity: float
    specificity: float

    def row(self) -> BayesRow:
        """Return the row with its predictive values (Bayes' theorem)."""
        true_pos = self.prevalence * self.sensitivity
        false_pos = (1 - self.prevalence) * (1 - self.specificity)
        true_neg = (1 - self.prevalence) * self.specificity
        false_neg = self.prevalence * (1 - self.sensitivity)
        return BayesRow(
            target=self.target,
            prevalence=self.prevalence,
            sensitivity=self.sensitivity,
            specificity=self.specificity,
            ppv=round(true_pos / (true_pos + false_pos), 4),
            npv=round(true_neg / (true_neg + false_neg), 4),
        )


class TrustFile(FileHead):
    """Limits of the trust gate (3.2): project-set, not evidence."""

    note: str
    min_n: int
    max_ece: float
    max_ood_score: float
    max_tile_disagreement: float
    lower_bounds: dict[str, float]
    multiclass_margin: float
    bayes: tuple[BayesSpec, ...]
