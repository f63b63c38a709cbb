"""What the adjudicator says: agreement, trust and findings."""

from enum import StrEnum
from typing import Literal

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import BiomarkerProfile
from immunopath.domain.sampling import SamplingDecision, SlideEstimate


class Severity(StrEnum):
    """How much a finding limits the report: ``note`` < ``caution`` < ``serious``."""

    note = "note"
    caution = "caution"
    serious = "serious"


class Finding(Frozen):
    """A discordance or a limit of the evidence, with what to do about it."""

    code: str
    """Stable flag, e.g. ``PRED_INTERNAL_INCONSISTENT`` or ``MPP_ASSUMED``."""
    rule_id: str | None = None
    """Rule of the knowledge base, e.g. ``D-7``; None for findings of the image pipeline."""
    severity: Severity
    message: str
    """One sentence: what was seen."""
    action: str
    """One sentence: what to do."""
    fields: tuple[str, ...] = ()


class Opinion(Frozen):
    """What one engine says of one field; ``value`` None = no opinion, with the reason."""

    engine: str
    value: str | None
    reason: str = ""


class Agreement(Frozen):
    """Do the independent opinions on one field coincide?"""

    field: str
    opinions: tuple[Opinion, ...]
    state: Literal["agree", "disagree", "single", "none"]
    """``single``: only one engine has an opinion, so nothing is confirmed."""


class TrustRow(Frozen):
    """The trust gate (`guidelines.md` 3.2) for one field."""

    field: str
    informative: bool
    reason: str


class Adjudication(Frozen):
    """The profile after the consistency rules, and everything that limits it."""

    profile: BiomarkerProfile
    agreement: tuple[Agreement, ...]
    trust: tuple[TrustRow, ...]
    findings: tuple[Finding, ...]
    estimates: tuple[SlideEstimate, ...] = ()
    """Of the slides of the case, where the predictor gives values by region."""
    sampling: SamplingDecision | None = None
    """Whether more tissue is wanted; None for a case without slides."""
