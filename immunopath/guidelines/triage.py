"""Who goes to the reference laboratory first (`guidelines.md` 3.3). Deterministic."""

import hashlib
from collections.abc import Collection, Iterable
from datetime import date
from typing import Final

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.cohort import QueueFacts
from immunopath.domain.guidance import Category, Guidance, Triage
from immunopath.domain.prediction import BiomarkerProfile
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.facts import is_scant
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.tables import run_table

_GATING = frozenset({Category.TEST_FIRST, Category.BRIDGE_CHEMO_PENDING_TESTS})
_LEVELS = ("T0", "T1", "T2", "T3")
_FORETOLD: Final = {
    "cd274_expression": ("high", frozenset({"PDL1_IHC"})),
    "msi_status": ("MSI-H", frozenset({"MMR_IHC", "MSI_NGS"})),
}
"""Fields that may break a tie: the value that counts, and the tests of which one must be wanted.

CD274 RNA is no TPS: it only says whose PD-L1 stain may be looked at first."""


def triage(kb: Knowledge, decision: Decision) -> Triage:
    """Return the level of a case from clinical facts only; no prediction is read here."""
    if decision.category in {Category.REJECT_INVALID_INPUT, Category.REFUSE_OUT_OF_SCOPE}:
        return Triage(level=None, reasons=(f"{decision.category.value}: not queued",))
    outstanding = frozenset(code for code in decision.tests if kb.tests[code].laboratory)
    facts = decision.facts | {
        "outstanding": outstanding,
        "outstanding_gate": bool(outstanding)
        and (decision.category in _GATING or _changes_now(decision, outstanding)),
        "flags_so_far": frozenset(decision.flags),
    }
    for hit in run_table(kb.tables["triage"], facts):
        return Triage(
            level=hit.rule.spec.then.level,
            reasons=(f"{hit.rule.spec.id}: {hit.rule.spec.summary}",),
        )
    return Triage(level=None, reasons=("no laboratory test is outstanding",))


def _changes_now(decision: Decision, outstanding: frozenset[str]) -> bool:
    """Return True when a rule asks for a laboratory test at T0 or T1 of its own accord."""
    return any(
        level in {"T0", "T1"} for code in outstanding for _, _, level in decision.tests[code]
    )


def queue_facts(case_id: str, guidance: Guidance, clinical: ClinicalContext) -> QueueFacts:
    """Return what a case's place in the queue depends on: clinical facts only."""
    return QueueFacts(
        case_id=case_id,
        level=guidance.triage.level,
        reasons=guidance.triage.reasons,
        diagnosed_on=clinical.diagnosed_on,
        scant=is_scant(clinical.specimen),
    )


def tie_breakers(informative: Collection[str], tests: Collection[str]) -> tuple[str, ...]:
    """Return the predicted fields that may break a tie, given codes of the tests that are wanted.

    informative: fields whose trust gate passed. A field whose test is done breaks none.
    """
    wanted = frozenset(tests)
    return tuple(f for f, (_, codes) in _FORETOLD.items() if f in informative and codes & wanted)


def changing_probability(
    profile: BiomarkerProfile, informative: Collection[str], tests: Collection[str]
) -> float | None:
    """Return the highest probability of a result that changes the options, in [0, 1].

    Of CD274 high and MSI-H, as far as `tie_breakers` lets them; None where it lets none.
    """
    tables = {f: getattr(profile, f).probabilities for f in tie_breakers(informative, tests)}
    found = [table[_FORETOLD[f][0]] for f, table in tables.items() if table is not None]
    return max(found, default=None)


def order_cohort(items: Iterable[QueueFacts], *, as_of: date) -> tuple[QueueFacts, ...]:
    """Return the cases in laboratory order.

    Level, then days since the tissue diagnosis (older first, unknown last), tissue at risk
    (core, FNA, or cellularity 20-30 %), an informative prediction, and the digest of the case id.
    """
    return tuple(sorted(items, key=lambda item: _key(item, as_of)))


def _key(item: QueueFacts, as_of: date) -> tuple[int, int, int, float, str]:
    waited = (as_of - item.diagnosed_on).days if item.diagnosed_on is not None else -1
    digest = hashlib.sha256(item.case_id.encode("utf-8", "surrogatepass")).hexdigest()
    return (
        _LEVELS.index(item.level) if item.level else len(_LEVELS),
        -waited,
        0 if item.scant else 1,
        -(item.changing_probability or 0.0),
        digest,
    )
