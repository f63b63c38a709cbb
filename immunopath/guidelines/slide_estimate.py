"""The lymphocyte share of a whole slide from regions of it, with the error of having read so few.

Each region stands for the places that are nearest to it, in the plane of the slide and in how
dark they look on the thumbnail (`imaging.slides.strata`; nearest neighbour imputation: Chen and
Shao, J Off Stat 2000;16:113). With W_i the share of places that region i stands for, y and w its
lymphocytes and nuclei (w = 1 for engines that count none), the estimate is the ratio

    R = sum_i W_i y_i / sum_i W_i w_i

so tissue that was read closely, or because it is dark, weighs no more than it covers: looking at a
hot spot does not make the slide hot, where the plain pool of all regions would. The variance is the
linearised one,

    V = sum_i W_i² (1 - 1 / N_i) S_i²

with N_i the places of stratum i and S_i² the variance of the residuals (y - R w), divided by the
denominator of R, over the region and its three nearest others in the same space (collapsed strata:
Cochran, Sampling Techniques, 1977, 5A.12). The interval is R ± t V^½ with n - 1 degrees of freedom,
n the number of regions, and covers the choice of regions only. Regions are spread, not drawn, and
where more is read depends on what was seen, so no unbiasedness is claimed; benchmarks/adaptive.py
measures bias and coverage. What no region meets, no interval knows. The value of the evenly spread
regions of the first round stands beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.domain.finding import Finding, Severity
from immunopath.domain.prediction import ImageCall
from immunopath.domain.quality import ImageSummary, IntakeResult
from immunopath.domain.sampling import SlideEstimate, SlideSampling, Stratum

COVERAGE = 0.90
MIN_REGIONS = 4
"""Fewer regions with a value say nothing of how regions differ."""
NEIGHBOURS = 3

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Table:
    """Regions with a value: image index, places, where (n, 3), y and w; the others (n,).

    where: corner and depth in level-0 pixels.
    """

    index: tuple[int, ...]
    places: F64
    where: F64
    y: F64
    w: F64


def slide_estimates(
    intake: IntakeResult, calls: Sequence[ImageCall], quantity: str
) -> tuple[SlideEstimate, ...]:
    """Return an estimate for every slide of which at least four regions have a value."""
    if intake.sampling is None:
        return ()
    by_image = {call.image_index: call for call in calls}
    found = (
        estimate_slide(slide, intake.images, by_image, quantity) for slide in intake.sampling.slides
    )
    return tuple(estimate for estimate in found if estimate is not None)


def estimate_slide(
    slide: SlideSampling,
    images: Sequence[ImageSummary],
    calls: Mapping[int, ImageCall],
    quantity: str,
) -> SlideEstimate | None:
    """Return the estimate of one slide, or None with fewer than four regions.

    A region without a value (all of it refused, or too few nuclei) counts nowhere, nor do the
    places that it stands for.
    """
    table = _table(slide.strata, images, calls)
    if len(table.index) < MIN_REGIONS:
        return None
    weight = table.places / table.places.sum()
    scale = float(weight @ table.w)
    ratio = float(weight @ table.y) / scale
    variances = _variances(table.where, (table.y - ratio * table.w) / scale)
    variance = float(np.sum(weight**2 * (1 - 1 / table.places) * variances))
    half = _student(len(table.index) - 1) * variance**0.5
    first = _table(slide.first, images, calls)
    value = _clipped(ratio)
    return SlideEstimate(
        name=slide.name,
        sha256=slide.sha256,
        quantity=quantity,
        value=value,
        interval=(min(value, _clipped(ratio - half)), max(value, _clipped(ratio + half))),
        coverage=COVERAGE,
        n_regions=len(table.index),
        first_round_value=_ratio(first) if first.index else None,
        variances=dict(zip(table.index, map(float, variances), strict=True)),
    )


def _table(
    strata: Sequence[Stratum], images: Sequence[ImageSummary], calls: Mapping[int, ImageCall]
) -> _Table:
    called = [s for s in strata if s.image in calls]
    index = tuple(s.image for s in called)
    where = [(*(images[s.image].region or (0, 0))[:2], s.depth) for s in called]
    weight = np.array([calls[i].weight for i in index], np.float64)
    til = np.array([calls[i].til for i in index], np.float64)
    return _Table(
        index=index,
        places=np.array([s.places for s in called], np.float64),
        where=np.array(where, np.float64).reshape(-1, 3),
        y=til * weight,
        w=weight,
    )


def _ratio(table: _Table) -> float:
    return _clipped(float(table.places @ table.y) / float(table.places @ table.w))


def _variances(where: F64, residual: F64) -> F64:
    """Return the variance of each region's residual and those of its three nearest others."""
    distance = ((where[:, None] - where[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, -1)
    near = np.argsort(distance, axis=1, kind="stable")[:, : NEIGHBOURS + 1]
    found: F64 = residual[near].var(axis=1, ddof=1)
    return found


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + COVERAGE) / 2))


def _clipped(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def adaptive_findings(
    intake: IntakeResult, estimates: Sequence[SlideEstimate]
) -> tuple[Finding, ...]:
    """Return a caution when regions were chosen by what was seen: their pool is biased."""
    rounds = intake.sampling.rounds if intake.sampling else ()
    chosen = (
        (sum(len(v.by_thumbnail) for v in rounds), "they look dark on the thumbnail"),
        (sum(len(v.images) for v in rounds[1:]), "of what earlier ones had shown"),
    )
    causes = " and ".join(f"{n} because {why}" for n, why in chosen if n)
    if not causes:
        return ()
    total = sum(len(visit.images) for visit in rounds)
    weighted = "; ".join(
        f"{e.name} {e.value:.2f} ({e.interval[0]:.2f} to {e.interval[1]:.2f})" for e in estimates
    )
    return (
        Finding(
            code="SAMPLING_ADAPTIVE",
            severity=Severity.caution,
            message=(
                f"Not all of {total} regions were read for where they lie, {causes}: "
                "the predicted fields pool all of them and are no average of the slide."
            ),
            action=(
                "For the slide, read the share weighted by area"
                f"{': ' + weighted if weighted else ', where one is given'}."
            ),
            fields=("til_fraction", "til_density", "immune_phenotype", "immune_score"),
        ),
    )
