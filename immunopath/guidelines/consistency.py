"""Consistency rules D-7 to D-12 on one predicted profile (`guidelines.md` 3.4).

Pure functions. Limits and words are in `knowledge/discordance.yaml`.
"""

from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import yaml

from immunopath.domain.base import Frozen
from immunopath.domain.finding import Finding, Severity
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    CutPoints,
    FieldPrediction,
)
from immunopath.domain.words import counted

V = TypeVar("V", str, float)


class DiscordanceRule(Frozen):
    """The words of one rule; `message` is a format string."""

    code: str
    severity: Severity
    message: str
    action: str
    references: tuple[str, ...]
    grade: str


class DiscordanceTable(Frozen):
    """The file `discordance.yaml`, typed."""

    version: float | str
    last_reviewed: Any
    limits: dict[str, float]
    inconsistent_pairs: tuple[tuple[str, str], ...]
    elsewhere: dict[str, str]
    """Where the other rows of 3.4 are decided, or why they cannot arise."""
    rules: dict[str, DiscordanceRule]

    def finding(self, rule_id: str, *fields: str, **values: object) -> Finding:
        """Return the finding of a rule with its placeholders filled."""
        rule = self.rules[rule_id]
        return Finding(
            code=rule.code,
            rule_id=rule_id,
            severity=rule.severity,
            message=rule.message.format(**values),
            action=rule.action,
            fields=fields,
        )


@cache
def discordance_table() -> DiscordanceTable:
    """Return the shipped table."""
    text = files("immunopath.guidelines").joinpath("knowledge/discordance.yaml").read_text("utf-8")
    return DiscordanceTable.model_validate(yaml.safe_load(text))


def withdraw(field: FieldPrediction[V], reason: str) -> FieldPrediction[V]:
    """Return the field as an abstention with `reason`; what the engine had said is dropped."""
    if field.abstained:
        return field
    kept = field.model_dump() | {
        "value": None,
        "probabilities": None,
        "interval": None,
        "prediction_set": None,
        "coverage": None,
        "calibrated": False,
        "abstained": True,
        "reason": reason,
    }
    return type(field).model_validate(kept)


def check_density_label(
    profile: BiomarkerProfile, cuts: CutPoints | None
) -> tuple[BiomarkerProfile, list[Finding]]:
    """D-10: the density label must be the class of the fraction, by the engine's own cuts."""
    fraction, label = profile.til_fraction, profile.til_density
    if cuts is None or fraction.value is None or label.value is None:
        return profile, []
    expected = cuts.density_class(fraction.value)
    if label.value == expected:
        return profile, []
    unsaid = {"probabilities": None, "prediction_set": None, "coverage": None, "calibrated": False}
    corrected = label.model_copy(update={"value": expected, **unsaid})
    finding = discordance_table().finding(
        "D-10", "til_density", label=label.value, value=fraction.value, expected=expected
    )
    return profile.model_copy(update={"til_density": corrected}), [finding]


def check_phenotype(
    profile: BiomarkerProfile, cuts: CutPoints | None
) -> tuple[BiomarkerProfile, list[Finding]]:
    """D-7, D-8, D-9: withdraw a phenotype that the other fields of the same engine contradict."""
    phenotype = profile.immune_phenotype.value
    if phenotype is None:
        return profile, []
    findings = [*_against_lymphocytes(profile, phenotype, cuts), *_against_tme(profile, phenotype)]
    if not findings:
        return profile, []
    reason = "withdrawn: " + " ".join(f.message for f in findings)
    withdrawn = withdraw(profile.immune_phenotype, reason)
    return profile.model_copy(update={"immune_phenotype": withdrawn}), findings


def _against_lymphocytes(
    profile: BiomarkerProfile, phenotype: str, cuts: CutPoints | None
) -> list[Finding]:
    table, share = discordance_table(), profile.til_fraction.value
    density = None if share is None or cuts is None else cuts.density_class(share)
    if phenotype == "inflamed":
        low = [
            name
            for name, is_low in (
                ("the TIL fraction", density == "low"),
                ("CD8 infiltration", profile.cd8_infiltration.value == "low"),
            )
            if is_low
        ]
        return [table.finding("D-7", "immune_phenotype", other=name) for name in low]
    if phenotype == "desert" and density == "high":
        return [table.finding("D-8", "immune_phenotype", "til_fraction")]
    return []


def _against_tme(profile: BiomarkerProfile, phenotype: str) -> list[Finding]:
    table, tme = discordance_table(), profile.tme_subtype.value
    clash = (tme, phenotype) in table.inconsistent_pairs or (
        tme == "F" and phenotype == "inflamed" and profile.til_density.value == "high"
    )
    if not clash:
        return []
    return [table.finding("D-9", "tme_subtype", "immune_phenotype", tme=tme, phenotype=phenotype)]


def check_tiles(profile: BiomarkerProfile) -> tuple[BiomarkerProfile, list[Finding]]:
    """D-11: withdraw a field whose tiles disagree, or a slide-level one from too few tiles."""
    table = discordance_table()
    findings: list[Finding] = []
    changed: dict[str, object] = {}
    for name, field in profile.items():
        if field.abstained:
            continue
        split = field.tile_disagreement
        if split is not None and split > table.limits["tile_disagreement"]:
            detail = f"{name}: {split:.0%} of {field.n_tiles} tiles call another class."
        elif field.scope == "slide" and field.n_tiles < table.limits["slide_min_tiles"]:
            detail = (
                f"{name}: {counted(field.n_tiles, 'tile is', 'tiles are')} too few for a "
                "slide-level value."
            )
        else:
            continue
        finding = table.finding("D-11", name, detail=detail)
        findings.append(finding)
        # A fraction is a mean over the tissue and stays meaningful when tiles differ.
        if name != "til_fraction":
            changed[name] = withdraw(getattr(profile, name), f"indeterminate: {detail}")
    return profile.model_copy(update=changed), findings


def suppress_all(profile: BiomarkerProfile, detail: str) -> tuple[BiomarkerProfile, list[Finding]]:
    """D-12: quality control failed in a way that makes every prediction meaningless."""
    changed: dict[str, object] = {}
    for name in FIELD_VALUES:
        changed[name] = withdraw(getattr(profile, name), f"suppressed: {detail}")
    names = [name for name, field in profile.items() if not field.abstained]
    return (
        profile.model_copy(update=changed),
        [discordance_table().finding("D-12", *names, detail=detail)],
    )
