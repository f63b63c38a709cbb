"""The shapes of the knowledge files that hold words, limits and questions, not rules."""

from typing import Any, Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.guidance import BayesRow, Level, ReferenceRow


class FileHead(Frozen):
    """Keys every knowledge file carries."""

    kind: str
    section: str = ""
    last_reviewed: str = ""
    clinician_review: str = "none"


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
    tissue_order: int | None = None
    """Place in the tissue budget of a scant specimen (3.3); None: takes no tissue."""
    scant_only_at_t0: bool = False
    """True: on a scant specimen only at level T0; sequencing answers it with less tissue."""


class TestFile(FileHead):
    """The test vocabulary."""

    __test__ = False

    tests: tuple[TestInfo, ...]
    turnaround_at: dict[Level, str] = Field(default_factory=dict)
    """Turnaround of laboratory tests at the levels that do not hurry (3.3)."""


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
    """A branch that contradicts a known fact is not shown."""
    also: dict[str, Any] = Field(default_factory=dict)
    """What the answer settles besides, whatever was stated (e.g. that the test is done)."""
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
    when: dict[str, Any] = Field(default_factory=dict)
    """Where the value can matter at all; tried unless this is known to be false."""
    results: tuple[WhatIfResult, ...]


class UnknownSpec(Frozen):
    """A fact that has to be cleared before an option with one of the tokens is final."""

    fact: str
    text: str
    tokens: tuple[str, ...]
    """Drugs, classes or regimen ids; ``ANY`` for every option."""


class QuestionFile(FileHead):
    """Questions of the conditional tree, of 'what would change', and what an option leaves open."""

    questions: tuple[QuestionSpec, ...]
    what_if: tuple[WhatIf, ...]
    unknowns: tuple[UnknownSpec, ...]


class GeneFile(FileHead):
    """Which genes gate, which methods exclude, which alterations are drivers."""

    gate: tuple[str, ...]
    panel: tuple[str, ...]
    adequate_negative: dict[str, tuple[str, ...]]
    fusions: tuple[str, ...]
    """Fusion genes of the gate: excluded by DNA only, they are marked."""
    rna_preferred: tuple[str, ...]
    drivers: dict[str, dict[str, tuple[str, ...]]]
    actionable: tuple[str, ...]
    truncal: tuple[str, ...]
    nonsquamous_only: tuple[str, ...]
    synonyms: dict[str, str]
    comedication: dict[str, tuple[str, ...]]
    """Names of interacting drugs by kind (CI-22)."""
    immune_events: dict[str, tuple[str, ...]]
    """Words for immune-related events by what they mean for further ICI (CI-4, CI-5)."""


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
