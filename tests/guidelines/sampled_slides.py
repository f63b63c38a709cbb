"""Intake results of slides that were never drawn: places on a grid, strata, values by region."""

from collections.abc import Sequence

import samples

from immunopath.domain.finding import Adjudication, Agreement
from immunopath.domain.prediction import ImageCall
from immunopath.domain.quality import IntakeResult
from immunopath.domain.sampling import SamplingLog, SamplingRound, SlideSampling, Stratum
from immunopath.guidelines.adjudication import empty_profile
from immunopath.guidelines.slide_estimate import slide_estimates

SHA = "ab" * 32
QUANTITY = "lymphocyte_share_of_nuclei"


def intake(
    places: Sequence[int], rounds: Sequence[SamplingRound] = (), first: int | None = None
) -> IntakeResult:
    """Return a slide with a region for each stratum of so many places, 1 mm apart in a row.

    first: how many of the regions are of the first round, of equal strata; None = all.
    """
    strata = tuple(Stratum(image=i, places=n) for i, n in enumerate(places))
    start = len(places) if first is None else first
    images = tuple(
        samples.image().model_copy(
            update={"sha256": SHA, "mpp": 0.5, "region": (2000 * i, 0, 1024, 1024)}
        )
        for i in range(len(places))
    )
    slide = SlideSampling(
        name="S.svs",
        sha256=SHA,
        candidates=sum(places),
        side_um=512,
        strata=strata,
        first=strata
        if first is None
        else tuple(Stratum(image=i, places=max(1, sum(places) // start)) for i in range(start)),
    )
    visit = SamplingRound(images=tuple(range(start)), because="spread")
    log = SamplingLog(slides=(slide,), rounds=(visit, *rounds))
    return IntakeResult(usable=True, images=images, tiles=(), sampling=log)


def calls(values: Sequence[float], phenotype: str | None = None) -> list[ImageCall]:
    """Return a value for each region, each of 100 nuclei."""
    return [
        ImageCall(image_index=i, til=value, weight=100, phenotype=phenotype)
        for i, value in enumerate(values)
    ]


def judged(
    case: IntakeResult,
    values: Sequence[float],
    *,
    state: str = "single",
    apart: float | None = None,
) -> Adjudication:
    """Return what an adjudicator would say of these values."""
    profile = empty_profile("drawn")
    share = profile.til_fraction.model_copy(update={"tile_disagreement": apart})
    row = Agreement.model_validate({"field": "immune_phenotype", "opinions": (), "state": state})
    return Adjudication(
        profile=profile.model_copy(update={"til_fraction": share}),
        agreement=(row,),
        trust=(),
        findings=(),
        estimates=slide_estimates(case, calls(values), QUANTITY),
    )
