"""The lymphocyte share of a whole slide from regions of it, with the error of having read so few.

A slide's places fall into strata, each the part nearest to one region of the first round
(`imaging.slides.strata`). With W_h the share of places in stratum h, y and w the lymphocytes and
the nuclei of a region (w = 1 for engines that count none), the estimate is the ratio

    R = sum_h W_h mean_h(y) / sum_h W_h mean_h(w)

so a stratum of which more was read weighs no more than before: tissue that was looked at because it
was hot does not make the slide hot. The variance is the linearised one,

    V = sum_h W_h² (1 - n_h / N_h) S_h² / n_h

with S_h² of the residuals (y - R w), divided by the denominator of R. Where a stratum holds fewer
than four regions, S_h² is taken over its regions and the three nearest others (collapsed strata:
Cochran, Sampling Techniques, 1977, 5A.12). That overstates the variance where neighbours differ,
which is where more should be read. The interval is R ± t V^½ with n - 1 degrees of freedom, n the
number of regions, and covers the choice of regions only.

Regions are spread, not drawn, and how many a stratum gets depends on what was seen; so "unbiased"
is not claimed, and the value of the first round, which nothing seen has chosen, stands beside it.
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
OWN_ENOUGH = 4
"""From so many regions on a stratum's variance is its own."""
NEIGHBOURS = 3

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Table:
    """Regions with a value: image index, corner (n, 2), y and w (n,)."""

    index: tuple[int, ...]
    corner: F64
    y: F64
    w: F64

    def rows(self, images: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the rows of these images; those without a value have none."""
        return np.array([self.index.index(i) for i in images if i in self.index], np.int64)


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

    Strata of which no region has a value (all of it refused, or no nuclei) count nowhere.
    """
    table = _table(slide, images, calls)
    if len(table.index) < MIN_REGIONS:
        return None
    ratio, scale = _ratio(slide.strata, table, first_only=False)
    residual = (table.y - ratio * table.w) / scale
    seen = [s for s in slide.strata if len(table.rows(s.read))]
    total = sum(s.places for s in seen)
    variances, variance = {}, 0.0
    for stratum in seen:
        rows = table.rows(stratum.read)
        variances[stratum.first] = spread = _variance(rows, table.corner, residual)
        unread = 1 - len(rows) / stratum.places
        variance += (stratum.places / total) ** 2 * unread * spread / len(rows)
    half = _student(len(table.index) - 1) * variance**0.5
    first, _ = _ratio(slide.strata, table, first_only=True)
    value = _clipped(ratio)
    return SlideEstimate(
        name=slide.name,
        sha256=slide.sha256,
        quantity=quantity,
        value=value,
        interval=(min(value, _clipped(ratio - half)), max(value, _clipped(ratio + half))),
        coverage=COVERAGE,
        n_regions=len(table.index),
        first_round_value=_clipped(first),
        variances=variances,
    )


def _table(
    slide: SlideSampling, images: Sequence[ImageSummary], calls: Mapping[int, ImageCall]
) -> _Table:
    index = tuple(i for i in slide.read if i in calls)
    corners = [images[i].region or (0, 0, 0, 0) for i in index]
    weight = np.array([calls[i].weight for i in index], np.float64)
    til = np.array([calls[i].til for i in index], np.float64)
    return _Table(index, np.array(corners, np.float64).reshape(-1, 4)[:, :2], til * weight, weight)


def _ratio(strata: Sequence[Stratum], table: _Table, *, first_only: bool) -> tuple[float, float]:
    """Return the ratio and its denominator; over all regions where no first one has a value."""
    top, bottom, total = 0.0, 0.0, 0
    for stratum in strata:
        rows = table.rows((stratum.first,) if first_only else stratum.read)
        if len(rows):
            top += stratum.places * float(table.y[rows].mean())
            bottom += stratum.places * float(table.w[rows].mean())
            total += stratum.places
    if not total:
        return _ratio(strata, table, first_only=False)
    return top / bottom, bottom / total


def _variance(rows: npt.NDArray[np.int64], corner: F64, residual: F64) -> float:
    """Return the variance of a stratum's residuals, with near ones of others where it has few."""
    pool = rows
    if len(rows) < OWN_ENOUGH:
        distance = ((corner - corner[rows].mean(axis=0)) ** 2).sum(axis=1)
        distance[rows] = np.inf
        near = np.argsort(distance, kind="stable")[: min(NEIGHBOURS, len(corner) - len(rows))]
        pool = np.concatenate([rows, near])
    return float(residual[pool].var(ddof=1))


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + COVERAGE) / 2))


def _clipped(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def adaptive_findings(
    intake: IntakeResult, estimates: Sequence[SlideEstimate]
) -> tuple[Finding, ...]:
    """Return a caution when regions were chosen by what others had shown: their pool is biased."""
    rounds = intake.sampling.rounds if intake.sampling else ()
    chosen = sum(len(visit.images) for visit in rounds[1:])
    if not chosen:
        return ()
    total = chosen + len(rounds[0].images)
    weighted = "; ".join(
        f"{e.name} {e.value:.2f} ({e.interval[0]:.2f} to {e.interval[1]:.2f})" for e in estimates
    )
    return (
        Finding(
            code="SAMPLING_ADAPTIVE",
            severity=Severity.caution,
            message=(
                f"{chosen} of {total} regions were read because of what earlier ones had shown: "
                "the predicted fields pool all of them and are no average of the slide."
            ),
            action=(
                "For the slide, read the share weighted by area"
                f"{': ' + weighted if weighted else ', where one is given'}."
            ),
            fields=("til_fraction", "til_density", "immune_phenotype", "immune_score"),
        ),
    )
