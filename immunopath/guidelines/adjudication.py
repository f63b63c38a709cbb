"""Adjudication: do the engines agree, which values stand, and what limits the report."""

from collections import Counter
from collections.abc import Callable, Iterable

from immunopath.domain.finding import Adjudication, Finding, Severity, TrustRow
from immunopath.domain.outcome import Ok, Outcome, why_not
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    EngineCaution,
    FieldPrediction,
    Morphometry,
    PhenotypeScores,
    PredictorResult,
    RetrievalResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import IntakeResult, Verdict
from immunopath.domain.sampling import SlideEstimate
from immunopath.domain.words import counted
from immunopath.guidelines.agreement import agreements, compare_nests, on_disagreement
from immunopath.guidelines.consistency import (
    check_density_label,
    check_phenotype,
    check_tiles,
    discordance_table,
    suppress_all,
    withdraw,
)
from immunopath.guidelines.picked import UNLIKE_VALIDATION, picked_findings
from immunopath.guidelines.slide_estimate import adaptive_findings, slide_estimates
from immunopath.guidelines.trust import trust_gate

SMALL_NUCLEI = 100
SMALL_MM2 = 0.04
"""Below either, layout cannot be read (morphometry.md section 3, item 10)."""
_EXCHANGED = "channel_order"
ON_SCALE = ("til_fraction", "til_density", "immune_phenotype", "immune_score")
"""Fields that rest on counts and areas: without a resolution they mean nothing."""
OFF_SCALE = "withheld: the resolution is implausible, or the field is out of focus"


def adjudicate(
    prediction: Outcome[PredictorResult],
    phenotype: Outcome[PhenotypeScores],
    retrieval: Outcome[RetrievalResult],
    intake: IntakeResult,
) -> Adjudication:
    """Return the profile after the consistency rules, with agreement, trust and findings."""
    findings = [*_image_findings(intake), *_field_findings(prediction, intake)]
    if isinstance(prediction, Ok):
        result = prediction.value
        profile, cuts = result.profile, result.cut_points
        findings += [_caution(caution) for caution in result.cautions]
        seen = result.morphometry
        steps: tuple[Callable[[BiomarkerProfile], tuple[BiomarkerProfile, list[Finding]]], ...] = (
            lambda p: _on_scale(p, seen),
            lambda p: check_density_label(p, cuts),
            lambda p: check_phenotype(p, cuts),
            check_tiles,
            lambda p: _suppressed(p, intake),
        )
        for step in steps:
            profile, found = step(profile)
            findings += found
        if seen is None or seen.mpp_plausible is not False:
            findings += compare_nests(seen, phenotype)
    else:
        profile = empty_profile(f"predictor {prediction.status}: {why_not(prediction)}")
    agreement = agreements(profile, phenotype, retrieval)
    profile, found = on_disagreement(profile, agreement, phenotype)
    findings += found
    picked = any(image.picked for image in intake.images)
    trust = tuple(_trust(name, field, picked=picked) for name, field in profile.items())
    estimates = _estimates(prediction, intake)
    findings += adaptive_findings(intake, estimates)
    findings += picked_findings(intake)
    return Adjudication(
        profile=profile,
        agreement=agreement,
        trust=trust,
        findings=tuple(findings),
        estimates=estimates,
    )


def _estimates(
    prediction: Outcome[PredictorResult], intake: IntakeResult
) -> tuple[SlideEstimate, ...]:
    """Return what the regions say of their slides; nothing where the scale is doubted."""
    if not isinstance(prediction, Ok):
        return ()
    seen, result = prediction.value.morphometry, prediction.value
    if seen is not None and seen.mpp_plausible is False:
        return ()
    return slide_estimates(intake, result.images, result.profile.til_fraction.quantity)


def empty_profile(reason: str) -> BiomarkerProfile:
    """Return eight abstentions that say why there is no prediction at all; no priors."""
    source = Provenance(engine="none", revision="-", kind="rule")
    fields: dict[str, object] = {}
    for name, allowed in FIELD_VALUES.items():
        kind = FieldPrediction[float] if allowed is None else FieldPrediction[str]
        fields[name] = kind(
            quantity="none",
            n_tiles=0,
            qc_pass=False,
            value=None,
            abstained=True,
            reason=reason,
            source=source,
        )
    return BiomarkerProfile.model_validate(fields)


def _trust(
    name: str, field: FieldPrediction[str] | FieldPrediction[float], *, picked: bool
) -> TrustRow:
    """Return the verdict on a field; picked: a person chose what was read."""
    informative, reason = trust_gate(name, field)
    if informative and picked:
        return TrustRow(field=name, informative=False, reason=UNLIKE_VALIDATION)
    return TrustRow(field=name, informative=informative, reason=reason)


def _caution(caution: EngineCaution) -> Finding:
    """Return what an engine says against itself as a finding, which every report shows."""
    return Finding(
        code=caution.code,
        severity=Severity(caution.severity),
        message=caution.message,
        action=caution.action,
        fields=caution.fields,
    )


def _on_scale(
    profile: BiomarkerProfile, seen: Morphometry | None
) -> tuple[BiomarkerProfile, list[Finding]]:
    """Withhold what rests on the scale when the nuclei speak against it; IMG-2 says why."""
    if seen is None or seen.mpp_plausible is not False:
        return profile, []
    changed: dict[str, object] = {}
    for name in ON_SCALE:
        field = getattr(profile, name)
        if not field.abstained:
            # The raw value is the same count: it goes with the value.
            changed[name] = withdraw(field, OFF_SCALE).model_copy(update={"raw_value": None})
    return profile.model_copy(update=changed), []


def _suppressed(
    profile: BiomarkerProfile, intake: IntakeResult
) -> tuple[BiomarkerProfile, list[Finding]]:
    """D-12 when every accepted tile looks as if its red and blue channels were exchanged."""
    accepted = intake.accepted
    exchanged = [
        any(c.code == _EXCHANGED and c.verdict is not Verdict.accept for c in t.quality.checks)
        for t in accepted
    ]
    if not accepted or not all(exchanged):
        return profile, []
    return suppress_all(profile, "Red and blue look exchanged in every tile.")


def _image_findings(intake: IntakeResult) -> Iterable[Finding]:
    table = discordance_table()
    for mpp in sorted({i.mpp for i in intake.images if i.mpp_source == "assumed"}):
        yield table.finding("IMG-1", mpp=mpp)
    total = len(intake.tiles)
    for rule, verdict in (("IMG-3", Verdict.flag), ("IMG-4", Verdict.refuse)):
        bad = [t for t in intake.tiles if t.quality.verdict is verdict]
        if bad:
            counts = Counter(t.quality.reason.rstrip(".") for t in bad)
            shown = "; ".join(reason for reason, _ in counts.most_common(2))
            yield table.finding(rule, n=len(bad), tiles=counted(total, "tile"), reasons=shown)


def _field_findings(
    prediction: Outcome[PredictorResult], intake: IntakeResult
) -> Iterable[Finding]:
    """Findings on the resolution and the size of the field, from the predictor's counts."""
    seen = prediction.value.morphometry if isinstance(prediction, Ok) else None
    if seen is None:
        return
    table = discordance_table()
    if seen.mpp_plausible is False and seen.median_nuclear_area_um2 is not None:
        yield table.finding(
            "IMG-2",
            *ON_SCALE,
            area=seen.median_nuclear_area_um2,
            images=_resolutions(intake),
        )
    if seen.n_nuclei < SMALL_NUCLEI or seen.tissue_mm2 < SMALL_MM2:
        yield table.finding(
            "IMG-5", area=seen.tissue_mm2, nuclei=counted(seen.n_nuclei, "nucleus", "nuclei")
        )
    for warning in seen.warnings:
        yield Finding(
            code="MORPHOMETRY_WARNING",
            severity=table.rules["IMG-5"].severity,
            message=warning,
            action="Look at the overlay before reading the lymphocyte share.",
            fields=("til_fraction", "til_density"),
        )


def _resolutions(intake: IntakeResult) -> str:
    """Return every image with an accepted tile, with its resolution and how that is known."""
    used = {t.image_index for t in intake.accepted}
    return ", ".join(
        f"{image.name} {image.mpp:g} µm/px ({image.mpp_source})"
        for index, image in enumerate(intake.images)
        if index in used
    )
