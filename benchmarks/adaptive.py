"""Adaptive against uniform sampling on synthetic slides with a rare hot region: one JSON object.

``python benchmarks/adaptive.py --json -`` (``--quick``: fewer slides, no pixels). One core.

*By region.* 400 slides; the value of a region is what was counted while it was drawn, so the
predictor is a stand-in that knows the truth of what it is shown and nothing of the rest. What is
compared is the choice of regions only: the shipped strata, estimator and `more_tissue` against the
same estimator on as many regions spread evenly. Both grow in steps of six until the interval is as
narrow as asked, at most 42 regions; a slide that ends wider counts with 42 and is told apart by
``reached``. Intervals of means are 90 %, bootstrap over slides.

*With pixels.* A few of the slides are rendered, written as pyramidal TIFF and read by the real
graph with a stand-in predictor that reads how dark a region is. It shows that the loop does on
files what it does above; the embedded predictor is wrong on drawings (docs/evidence.md).
"""

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from adaptive_slides import (
    MPP,
    SIDE_PX,
    Field,
    Layout,
    by_box,
    draw_fields,
    evenly,
    lay_out,
    truth_of,
)
from benchmark_json import write_figures

from immunopath.domain.finding import Adjudication
from immunopath.domain.prediction import ImageCall
from immunopath.domain.quality import ImageSummary, IntakeResult, QualityReport, Verdict
from immunopath.domain.sampling import (
    SamplingBudget,
    SamplingLog,
    SamplingRound,
    SlideEstimate,
    SlideSampling,
    Stratum,
)
from immunopath.guidelines.adjudication import empty_profile
from immunopath.guidelines.more_tissue import more_tissue
from immunopath.guidelines.slide_estimate import slide_estimates
from immunopath.imaging.slides.strata import further, strata_of
from immunopath.imaging.tiles import Box
from immunopath.training.synthetic import CAPTION

FIRST, STEP, ROUNDS = 12, 6, 5
MOST = FIRST + STEP * ROUNDS
SLIDES, QUICK_SLIDES, PIXEL_SLIDES = 400, 60, 3
QUANTITY = "lymphocyte_share_of_nuclei"
GOOD = QualityReport(verdict=Verdict.accept, checks=(), tissue_share=1.0)
LIMITS = (0.12, 0.08)
HOT_RADIUS, RARE_RADIUS = 2.5, 1.5
"""In regions: about 16 % and 6 % of the tissue."""
BUDGET = SamplingBudget(rounds=ROUNDS, regions=STEP * ROUNDS)


@dataclass(frozen=True)
class Outcome:
    """How one slide ended under one way of choosing.

    regions: read at the end; error: of the value; covered: whether the interval holds the truth;
    hot: whether a hot place was read, hot_first: among the first twelve; pool_error: of the share
    in the plain pool of all regions read.
    """

    regions: int
    reached: bool
    width: float
    error: float
    covered: bool
    hot: bool
    pool_error: float
    hot_first: bool


def intake_of(
    layout: Layout, read: Sequence[Box], rounds: tuple[SamplingRound, ...]
) -> IntakeResult:
    """Return what intake would hand over after these regions were read."""
    parts = strata_of(layout.frame, read)
    strata = tuple(Stratum(image=n, places=len(mine)) for n, mine in enumerate(parts.values()))
    slide = SlideSampling(
        name="synthetic",
        sha256="0" * 64,
        candidates=len(layout.frame),
        side_um=SIDE_PX * MPP,
        strata=strata,
        first=strata[:FIRST],
    )
    log = SamplingLog(slides=(slide,), rounds=rounds)
    images = tuple(_image(box) for box in read)
    return IntakeResult(usable=True, images=images, tiles=(), sampling=log)


def _image(box: Box) -> ImageSummary:
    return ImageSummary(
        name="synthetic", sha256="0" * 64, pixels_sha256="", width=box[2], height=box[3],
        format="drawing", mpp=MPP, mpp_source="user", quality=GOOD, region=box,
    )  # fmt: skip


def estimate(case: IntakeResult, fields: Mapping[Box, Field]) -> SlideEstimate:
    """Return the shipped estimate from the counts of the regions read."""
    calls = [
        ImageCall(image_index=n, til=fields[i.region].share, weight=fields[i.region].nuclei)
        for n, i in enumerate(case.images)
        if i.region is not None
    ]
    (found,) = slide_estimates(case, calls, QUANTITY)
    return found


def adaptive(layout: Layout, bank: tuple[Field, ...], limit: float) -> Outcome:
    """Read the first regions, then more where `more_tissue` says so."""
    read = list(evenly(layout.frame, FIRST))
    rounds = (SamplingRound(images=tuple(range(FIRST)), because="spread"),)
    while True:
        case = intake_of(layout, read, rounds)
        found = estimate(case, by_box(layout, bank))
        judged = Adjudication(
            profile=empty_profile("synthetic"),
            agreement=(),
            trust=(),
            findings=(),
            estimates=(found,),
        )
        step = more_tissue(judged, case, BUDGET, limit=limit)
        if step is None or not step.wanted:
            return _outcome(layout, bank, read, found, limit)
        wanted = {read[part.image]: part.count for part in step.wanted}
        new = [b for mine in further(strata_of(layout.frame, read), wanted).values() for b in mine]
        visit = SamplingRound(
            images=tuple(range(len(read), len(read) + len(new))),
            because=step.reason,
            width_before=step.width,
        )
        read, rounds = [*read, *new], (*rounds, visit)


def uniform(layout: Layout, bank: tuple[Field, ...], limit: float) -> Outcome:
    """Read evenly spread regions, more of them until the interval is narrow."""
    for count in range(FIRST, MOST + 1, STEP):
        read = evenly(layout.frame, count)
        found = estimate(intake_of(layout, read, ()), by_box(layout, bank))
        if found.width <= limit:
            break
    return _outcome(layout, bank, read, found, limit)


def _outcome(
    layout: Layout,
    bank: tuple[Field, ...],
    read: Sequence[Box],
    found: SlideEstimate,
    limit: float,
) -> Outcome:
    truth, fields = truth_of(layout, bank), by_box(layout, bank)
    hot = {box for box, is_hot in zip(layout.frame, layout.hot, strict=True) if is_hot}
    pool = sum(fields[b].lymphocytes for b in read) / sum(fields[b].nuclei for b in read)
    return Outcome(
        regions=len(read),
        reached=found.width <= limit,
        width=found.width,
        error=found.value - truth,
        covered=found.interval[0] <= truth <= found.interval[1],
        hot=bool(hot & set(read)),
        pool_error=pool - truth,
        hot_first=bool(hot & set(evenly(layout.frame, FIRST))),
    )


def summary(rows: Sequence[Outcome], limit: float) -> dict[str, object]:
    """Return means with 90 % intervals over slides; slides that ended early count with the most."""
    needed = [_needed(row) for row in rows]
    return {
        "regions_needed": mean_of(needed),
        "tiles_needed": round(4 * float(np.mean(needed)), 1),
        "reached": mean_of([row.reached for row in rows]),
        "regions_read": mean_of([row.regions for row in rows]),
        "width_at_end": mean_of([row.width for row in rows]),
        "coverage": mean_of([row.covered for row in rows]),
        "hot_read": mean_of([row.hot for row in rows]),
        "bias": mean_of([row.error for row in rows]),
        "mean_abs_error": mean_of([abs(row.error) for row in rows]),
        "bias_of_plain_pool": mean_of([row.pool_error for row in rows]),
        "limit": limit,
    }


def mean_of(values: Sequence[float]) -> list[float]:
    """Return mean and its 90 % bootstrap interval over slides."""
    rng, data = np.random.default_rng(0), np.asarray(values, float)
    draws = data[rng.integers(0, len(data), (1000, len(data)))].mean(axis=1)
    return [round(float(v), 4) for v in (data.mean(), *np.quantile(draws, [0.05, 0.95]))]


def by_region(slides: int) -> dict[str, object]:
    """Return both ways on the same slides: two sizes of the hot region, and none."""
    bank = draw_fields()
    return {
        f"{name}_limit_{limit}": compared(
            [lay_out(seed, radius) for seed in range(slides)], bank, limit
        )
        for name, radius in (("hot", HOT_RADIUS), ("rare", RARE_RADIUS), ("none", 0.0))
        for limit in LIMITS
    }


def compared(layouts: list[Layout], bank: tuple[Field, ...], limit: float) -> dict[str, object]:
    """Return both ways on the same slides, and on those whose first look met the hot region."""
    one = [adaptive(s, bank, limit) for s in layouts]
    two = [uniform(s, bank, limit) for s in layouts]
    found: dict[str, object] = {
        "slides": len(layouts),
        "hot_share_of_places": mean_of([float(np.mean(s.hot)) for s in layouts]),
        "truth": mean_of([truth_of(s, bank) for s in layouts]),
        "adaptive": summary(one, limit),
        "uniform": summary(two, limit),
        "regions_saved": mean_of(saved(one, two)),
    }
    met = [n for n, row in enumerate(one) if row.hot_first]
    if met:
        first, second = [one[n] for n in met], [two[n] for n in met]
        found["met_by_first_look"] = {
            "slides": len(met),
            "adaptive_regions_needed": mean_of([_needed(row) for row in first]),
            "uniform_regions_needed": mean_of([_needed(row) for row in second]),
            "regions_saved": mean_of(saved(first, second)),
            "adaptive_coverage": mean_of([row.covered for row in first]),
            "uniform_coverage": mean_of([row.covered for row in second]),
        }
    return found


def saved(one: Sequence[Outcome], two: Sequence[Outcome]) -> list[int]:
    """Return by how many regions the first way needs fewer, slide by slide."""
    return [_needed(b) - _needed(a) for a, b in zip(one, two, strict=True)]


def _needed(row: Outcome) -> int:
    return row.regions if row.reached else MOST


def main(arguments: Sequence[str]) -> int:
    """Run and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", required=True, metavar="PATH|-")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args(arguments)
    start = perf_counter()
    figures: dict[str, object] = {
        "what": CAPTION,
        "python": platform.python_version(),
        "by_region": by_region(QUICK_SLIDES if asked.quick else SLIDES),
    }
    if not asked.quick:
        from adaptive_pixels import with_pixels

        figures["with_pixels"] = with_pixels(PIXEL_SLIDES)
    figures["seconds"] = round(perf_counter() - start, 1)
    write_figures(figures, asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
