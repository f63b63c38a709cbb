"""Adaptive against uniform sampling on synthetic slides with a rare hot region: one JSON object.

``python benchmarks/adaptive.py --json -`` (``--quick``: fewer slides, no pixels). One core.

*By region.* 400 slides; the value of a region is what was counted while it was drawn, so the
predictor is a stand-in that knows the truth of what it is shown and nothing of the rest. What is
compared is the choice of regions only: the shipped rules with a thumbnail whose darkness correlates
with the lymphocyte share as stated (``adaptive_r_…``), the same rules without a thumbnail, uniform
sampling, and, as control, the rules without a thumbnail that start from as many evenly spread
regions as the thumbnail led to. All grow in steps of six until the interval is as narrow as asked,
at most 42 regions; a slide that ends wider counts with 42 and is told apart by ``reached``.
Intervals of means are 90 %, bootstrap over slides.

*With pixels.* A few of the slides are rendered, written as pyramidal TIFF and read by the real
graph with a stand-in predictor that reads how dark a region is. It shows that the loop does on
files what it does above; the embedded predictor is wrong on drawings (docs/evidence.md).
"""

import argparse
import functools
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from adaptive_slides import (
    MPP,
    SIDE_PX,
    Field,
    Layout,
    by_box,
    depth_of,
    draw_fields,
    evenly,
    lay_out,
    truth_of,
)
from adaptive_tables import Outcome, against, mean_of, summary
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
from immunopath.imaging.slides.darkness import unlike
from immunopath.imaging.slides.strata import FLAT, further, strata_of
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
CORRELATIONS = (-0.3, 0.0, 0.3, 0.5)
"""Of the thumbnail's darkness with the lymphocyte share over the places of a slide."""
CONTROL = 0.3


@dataclass(frozen=True)
class FirstLook:
    """read: regions of the first round; depth: how dark the places look, if a thumbnail says so."""

    read: tuple[Box, ...]
    depth: Mapping[Box, float] = field(default_factory=lambda: FLAT)


def first_look(layout: Layout, depth: Mapping[Box, float] = FLAT) -> FirstLook:
    """Return the first round as it is shipped: evenly spread, then what looks dark."""
    even = evenly(layout.frame, FIRST)
    return FirstLook((*even, *unlike(layout.frame, even, depth)) if depth else even, depth)


def intake_of(
    layout: Layout,
    read: Sequence[Box],
    rounds: tuple[SamplingRound, ...],
    depth: Mapping[Box, float] = FLAT,
) -> IntakeResult:
    """Return what intake would hand over after these regions were read."""
    parts = strata_of(layout.frame, read, depth)
    strata = tuple(
        Stratum(image=n, places=len(mine), depth=depth.get(box, 0.0))
        for n, (box, mine) in enumerate(parts.items())
    )
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


@functools.cache
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


def adaptive(layout: Layout, bank: tuple[Field, ...], limit: float, first: FirstLook) -> Outcome:
    """Read the first regions, then more where `more_tissue` says so."""
    read, depth = list(first.read), first.depth
    budget = SamplingBudget(rounds=ROUNDS, regions=MOST - len(read))
    rounds = (SamplingRound(images=tuple(range(len(read))), because="spread"),)
    while True:
        case = intake_of(layout, read, rounds, depth)
        found = estimate(case, by_box(layout, bank))
        judged = Adjudication(
            profile=empty_profile("synthetic"),
            agreement=(),
            trust=(),
            findings=(),
            estimates=(found,),
        )
        step = more_tissue(judged, case, budget, limit=limit)
        if step is None or not step.wanted:
            return _outcome(layout, bank, (first.read, read), found, limit)
        wanted = {read[part.image]: part.count for part in step.wanted}
        parts = further(strata_of(layout.frame, read, depth), wanted, depth)
        new = [box for mine in parts.values() for box in mine]
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
    return _outcome(layout, bank, (evenly(layout.frame, FIRST), read), found, limit)


def _outcome(
    layout: Layout,
    bank: tuple[Field, ...],
    visited: tuple[Sequence[Box], Sequence[Box]],
    found: SlideEstimate,
    limit: float,
) -> Outcome:
    """Return how a slide ended; visited: in the first round, and in all."""
    truth, fields = truth_of(layout, bank), by_box(layout, bank)
    first, read = visited
    hot = {box for box, is_hot in zip(layout.frame, layout.hot, strict=True) if is_hot}
    return Outcome(
        first=len(first),
        regions=len(read),
        reached=found.width <= limit,
        width=found.width,
        error=found.value - truth,
        covered=found.interval[0] <= truth <= found.interval[1],
        hot=bool(hot & set(read)),
        hot_first=bool(hot & set(first)),
        pool_error=_pool(fields, read) - truth,
        pool_error_first=_pool(fields, first) - truth,
    )


def _pool(fields: Mapping[Box, Field], read: Sequence[Box]) -> float:
    return sum(fields[b].lymphocytes for b in read) / sum(fields[b].nuclei for b in read)


def by_region(slides: int) -> dict[str, object]:
    """Return all ways on the same slides: two sizes of the hot region, and none."""
    bank = draw_fields()
    return {
        f"{name}_limit_{limit}": compared(
            [lay_out(seed, radius) for seed in range(slides)], bank, limit
        )
        for name, radius in (("hot", HOT_RADIUS), ("rare", RARE_RADIUS), ("none", 0.0))
        for limit in LIMITS
    }


def compared(layouts: list[Layout], bank: tuple[Field, ...], limit: float) -> dict[str, object]:
    """Return every way on the same slides."""
    looks = {
        r: [first_look(slide, depth_of(slide, bank, r, n)) for n, slide in enumerate(layouts)]
        for r in CORRELATIONS
    }
    plain = [first_look(slide) for slide in layouts]
    as_many = [
        FirstLook(evenly(slide.frame, len(look.read)))
        for slide, look in zip(layouts, looks[CONTROL], strict=True)
    ]
    ways = {f"adaptive_r_{r}": found for r, found in looks.items()}
    ways |= {"adaptive_without_thumbnail": plain, f"as_many_evenly_as_r_{CONTROL}": as_many}
    rows = {
        name: [adaptive(s, bank, limit, look) for s, look in zip(layouts, found, strict=True)]
        for name, found in ways.items()
    }
    rows["uniform"] = [uniform(slide, bank, limit) for slide in layouts]
    return {
        "slides": len(layouts),
        "hot_share_of_places": mean_of([float(np.mean(s.hot)) for s in layouts]),
        "truth": mean_of([truth_of(s, bank) for s in layouts]),
        "limit": limit,
        "met_by_evenly_spread_first_regions": sum(row.hot_first for row in rows["uniform"]),
    } | {
        name: summary(mine, MOST) | against(mine, rows["uniform"], MOST)
        for name, mine in rows.items()
    }


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
