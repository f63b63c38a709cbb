"""What the guideline engine says of a case: options, never orders."""

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.clinical import InputProblem


class Category(StrEnum):
    """The one primary category of a guidance (`guidelines.md` 2.0)."""

    REJECT_INVALID_INPUT = "REJECT_INVALID_INPUT"
    REFUSE_OUT_OF_SCOPE = "REFUSE_OUT_OF_SCOPE"
    TEST_FIRST = "TEST_FIRST"
    BRIDGE_CHEMO_PENDING_TESTS = "BRIDGE_CHEMO_PENDING_TESTS"
    DRIVER_DIRECTED = "DRIVER_DIRECTED"
    ICI_MONO_OPTIONS = "ICI_MONO_OPTIONS"
    ICI_CHEMO_OPTIONS = "ICI_CHEMO_OPTIONS"
    CHEMO_NO_ICI = "CHEMO_NO_ICI"
    SUBSEQUENT_LINE_OPTIONS = "SUBSEQUENT_LINE_OPTIONS"
    MDT_CURATIVE_INTENT = "MDT_CURATIVE_INTENT"
    MDT_SAFETY_REVIEW = "MDT_SAFETY_REVIEW"
    SUPPORTIVE_CARE_FIRST = "SUPPORTIVE_CARE_FIRST"


WITHOUT_OPTIONS = frozenset(
    {Category.REJECT_INVALID_INPUT, Category.REFUSE_OUT_OF_SCOPE, Category.TEST_FIRST}
)
"""Categories whose option list is empty by construction (property MP-9)."""

Level = Literal["T0", "T1", "T2", "T3"]


class Option(Frozen):
    """A regimen consistent with the rules for this case. Built from measured facts only."""

    rank: int = Field(ge=1)
    regimen_id: str
    name: str
    components: tuple[tuple[str, ...], ...]
    """Each component lists its interchangeable drugs after the contraindication filter."""
    drugs: tuple[str, ...]
    """All drugs named in `components`, once each, in order."""
    reason: str
    strength: str
    rule_ids: tuple[str, ...]
    evidence: tuple[str, ...]
    """Keys of the reference list."""
    regulatory: str
    label: str
    """The US indication in summary."""
    schedule: str
    headline: str
    """The pivotal trial's headline number."""
    grade: str
    counter_indications_checked: tuple[str, ...]
    """Barrier rules that could be decided for this case."""
    unknowns: tuple[str, ...] = ()
    """What is unknown and would have to be cleared before this option is final."""
    notes: tuple[str, ...] = ()


class ConditionalBranch(Frozen):
    """One branch of the tree shown while a gate value is missing. Never part of `options`."""

    question: str
    condition: str
    """E.g. ``TPS >= 50 %``."""
    category: Category | None = None
    """What the case would become; None when the branch only asks further."""
    options: tuple[Option, ...] = ()
    """What the tables list under this condition: conditional, not options of the case."""
    note: str = ""
    branches: tuple["ConditionalBranch", ...] = ()


class TestRequest(Frozen):
    """A confirmatory test to consider."""

    __test__ = False  # the name starts with Test; pytest must not collect it

    code: str
    name: str
    level: Level
    turnaround: str
    reason: str
    rule_ids: tuple[str, ...]
    done: bool = False


class Flag(Frozen):
    """A marker with its meaning."""

    code: str
    meaning: str
    severity: Literal["info", "caution", "stop"]
    rule_id: str


class FiredRule(Frozen):
    """A rule on the path, in the order of the stages."""

    rule_id: str
    table: str
    section: str
    summary: str
    strength: str
    references: tuple[str, ...]
    grade: str


class WhatWouldChange(Frozen):
    """One result of one missing value and what it would open or close."""

    question: str
    if_result: str
    category: Category
    opens: tuple[str, ...]
    closes: tuple[str, ...]


class Triage(Frozen):
    """Who goes to the laboratory first; prediction is the last tie-break only."""

    level: Level | None
    """None when no test is outstanding."""
    reasons: tuple[str, ...]
    basis: Literal["clinical_facts_only", "clinical_facts_then_informative_prediction"] = (
        "clinical_facts_only"
    )


class BayesRow(Frozen):
    """Why a prediction is not a result: predictive values at a base rate."""

    target: str
    prevalence: float = Field(ge=0, le=1)
    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)
    ppv: float = Field(ge=0, le=1)
    npv: float = Field(ge=0, le=1)


class ReferenceRow(Frozen):
    """A cited reference; ``grade`` V was seen in a stored public source, M is from memory."""

    key: str
    text: str
    ident: str
    grade: str


class Guidance(Frozen):
    """The guideline node's answer for one case."""

    category: Category
    headline: str
    """The category in one neutral sentence."""
    options: tuple[Option, ...] = ()
    conditional: tuple[ConditionalBranch, ...] = ()
    tests: tuple[TestRequest, ...] = ()
    flags: tuple[Flag, ...] = ()
    fired: tuple[FiredRule, ...] = ()
    what_would_change: tuple[WhatWouldChange, ...] = ()
    problems: tuple[InputProblem, ...] = ()
    """Why the input was rejected, field by field."""
    missing: tuple[str, ...] = ()
    """Facts that are unknown and bear on this case."""
    measured: dict[str, str] = Field(default_factory=dict)
    """Measured facts that the tables used (e.g. ``tps_stratum``); unknown ones are absent."""
    triage: Triage = Triage(level=None, reasons=())
    appendix: tuple[str, ...] = ()
    """Research lines about predictions; no rule reads them."""
    bayes: tuple[BayesRow, ...] = ()
    references: tuple[ReferenceRow, ...] = ()
    knowledge_version: str
    """``<version>+<first 12 hex digits of the SHA-256 over the knowledge files>``."""
    knowledge_date: date
    as_of: date
    research_use: str

    @model_validator(mode="after")
    def _no_options_without_ground(self) -> Self:
        if self.category in WITHOUT_OPTIONS and self.options:
            raise ValueError(f"{self.category} cannot list options")
        return self

    def flag_codes(self) -> frozenset[str]:
        """Return the codes of all flags."""
        return frozenset(flag.code for flag in self.flags)

    def regimen_ids(self) -> tuple[str, ...]:
        """Return the regimen ids of `options`, in rank order."""
        return tuple(option.regimen_id for option in self.options)

    def named_drugs(self) -> tuple[str, ...]:
        """Return the drugs of `options`, then those of `conditional` branches, once each."""
        return tuple(dict.fromkeys((*self.option_drugs(), *self.conditional_drugs())))

    def option_drugs(self) -> tuple[str, ...]:
        """Return the drugs of `options`, in rank order, once each."""
        return tuple(dict.fromkeys(drug for o in self.options for drug in o.drugs))

    def conditional_drugs(self) -> tuple[str, ...]:
        """Return the drugs of conditional branches only; none of them is an option of the case."""
        return tuple(dict.fromkeys(_drugs_of(self.conditional)))

    def rule_ids(self) -> tuple[str, ...]:
        """Return the ids of the fired rules, in order."""
        return tuple(rule.rule_id for rule in self.fired)


def _drugs_of(branches: Iterable[ConditionalBranch]) -> Iterator[str]:
    for branch in branches:
        for option in branch.options:
            yield from option.drugs
        yield from _drugs_of(branch.branches)
