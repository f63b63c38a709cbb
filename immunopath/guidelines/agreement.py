"""Do independent engines agree? Opinions on one field, and the findings that follow from them.

The phenotype engine's share of lymphocytes is another quantity than the predictor's fraction: it
is cut at its own points, and only the classes are compared.
"""

from immunopath.domain.finding import Agreement, Finding, Opinion
from immunopath.domain.outcome import Abstained, Ok, Outcome, why_not
from immunopath.domain.prediction import (
    BiomarkerProfile,
    CutPoints,
    Morphometry,
    PhenotypeScores,
    RetrievalResult,
)
from immunopath.guidelines.consistency import discordance_table, withdraw

COMPARED = ("immune_phenotype", "til_density")
SHARE_FEATURE, NEST_FEATURE = "lymphoid_share", "nest_mm2"
ANOTHER_QUANTITY = (
    "share of lymphocytes {share:.2f} by texture, another quantity than the predictor's: only "
    "classes are compared"
)


def agreements(
    profile: BiomarkerProfile,
    phenotype: Outcome[PhenotypeScores],
    retrieval: Outcome[RetrievalResult],
) -> tuple[Agreement, ...]:
    """Return who says what of the compared fields."""
    return tuple(_agreement(f, profile, phenotype, retrieval) for f in COMPARED)


def _agreement(
    field: str,
    profile: BiomarkerProfile,
    phenotype: Outcome[PhenotypeScores],
    retrieval: Outcome[RetrievalResult],
) -> Agreement:
    own = getattr(profile, field)
    opinions = [
        Opinion(engine="predictor", value=own.value, reason=own.reason),
        _phenotype_opinion(field, phenotype),
        _neighbours_opinion(field, retrieval),
    ]
    values = [o.value for o in opinions if o.value is not None]
    if len(values) < 2:
        state = "single" if values else "none"
    else:
        state = "agree" if len(set(values)) == 1 else "disagree"
    return Agreement.model_validate({"field": field, "opinions": opinions, "state": state})


def _phenotype_opinion(field: str, outcome: Outcome[PhenotypeScores]) -> Opinion:
    if not isinstance(outcome, Ok):
        return Opinion(engine="phenotype", value=None, reason=why_not(outcome))
    scores = outcome.value
    if field == "immune_phenotype":
        return Opinion(engine="phenotype", value=scores.value, reason=scores.reason)
    share = scores.features.get(SHARE_FEATURE)
    if share is None:
        reason = "the engine measures no share of lymphocytes"
        return Opinion(engine="phenotype", value=None, reason=reason)
    value = _texture_cuts().density_class(share)
    return Opinion(engine="phenotype", value=value, reason=ANOTHER_QUANTITY.format(share=share))


def _texture_cuts() -> CutPoints:
    limits = discordance_table().limits
    return CutPoints(low=limits["texture_share_low"], high=limits["texture_share_high"])


def _neighbours_opinion(field: str, outcome: Outcome[RetrievalResult]) -> Opinion:
    if not isinstance(outcome, Ok):
        return Opinion(engine="neighbours", value=None, reason=why_not(outcome))
    for vote in outcome.value.votes:
        if vote.field == field and isinstance(vote.value, str):
            return Opinion(engine="neighbours", value=vote.value)
    reason = "fewer than three neighbours carry a label for this field"
    return Opinion(engine="neighbours", value=None, reason=reason)


def on_disagreement(
    profile: BiomarkerProfile,
    rows: tuple[Agreement, ...],
    phenotype: Outcome[PhenotypeScores],
) -> tuple[BiomarkerProfile, list[Finding]]:
    """Withdraw a phenotype on which independent engines differ; say so for every field."""
    table = discordance_table()
    findings: list[Finding] = []
    for row in rows:
        said = ", ".join(f"{o.engine} {o.value}" for o in row.opinions if o.value is not None)
        if row.state == "single":
            findings.append(_alone(row, phenotype))
        if row.state != "disagree":
            continue
        rule = "AGR-4" if row.field == "til_density" and _has_share(phenotype) else "AGR-1"
        findings.append(table.finding(rule, row.field, field=row.field, opinions=said))
        if row.field == "immune_phenotype":
            held = withdraw(profile.immune_phenotype, f"indeterminate: engines differ ({said})")
            profile = profile.model_copy(update={"immune_phenotype": held})
    return profile, findings


def _has_share(outcome: Outcome[PhenotypeScores]) -> bool:
    return isinstance(outcome, Ok) and SHARE_FEATURE in outcome.value.features


def _alone(row: Agreement, phenotype: Outcome[PhenotypeScores]) -> Finding:
    """Return the finding on a single opinion; an engine that looked and abstained weighs more.

    An engine that could not run has seen nothing, and its silence speaks neither for nor against.
    """
    table = discordance_table()
    predictor, second = row.opinions[0], row.opinions[1]
    looked = isinstance(phenotype, Ok | Abstained)
    if row.field == "immune_phenotype" and predictor.value is not None and looked:
        reason = second.reason.rstrip(".")
        return table.finding("AGR-3", row.field, value=predictor.value, reason=reason)
    return table.finding("AGR-2", row.field, field=row.field)


def compare_nests(
    seen: Morphometry | None, phenotype: Outcome[PhenotypeScores]
) -> tuple[Finding, ...]:
    """Return a finding when one engine sees nests where the other sees none."""
    if seen is None or seen.nest_mm2 is None or not isinstance(phenotype, Ok):
        return ()
    table, other = discordance_table(), phenotype.value.features.get(NEST_FEATURE)
    least = table.limits["nest_present_mm2"]
    if other is None or (seen.nest_mm2 >= least) == (other >= least):
        return ()
    return (
        table.finding("AGR-5", "immune_phenotype", "til_density", own=seen.nest_mm2, other=other),
    )
