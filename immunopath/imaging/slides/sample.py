"""A slide as the images of a case: regions of tissue, spread over it.

Engines know images of some hundred µm, with true surroundings inside each; so a slide enters a case
as a dozen such images, each with its place, and everything behind intake stays as it is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from immunopath.domain.errors import ImageReadError
from immunopath.domain.units import WORKING_MPP
from immunopath.imaging.arrays import RGB
from immunopath.imaging.decode import MAX_PIXELS, printable
from immunopath.imaging.slides.darkness import depths, haematoxylin, unlike
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.openslide_reader import GENERIC, vendor_of
from immunopath.imaging.slides.plan import TilePlan, TileRules, lay_out, plan_tiles_of
from immunopath.imaging.slides.slide import Slide
from immunopath.imaging.slides.tiff_reader import first_page_size
from immunopath.imaging.tiles import Box, SlidePicture

REGIONS = 12
"""Regions that are read of a slide because of where they lie."""
REGION_PX, SMALL_REGION_PX = 1024, 512
"""Side at 0.5 µm/px: four tiles, so that nests have their surroundings; one tile for biopsies."""
_PLAIN_TIFF = (None, GENERIC, "aperio")
"""What is decoded as a whole image as long as it is small enough."""


@dataclass(frozen=True)
class SlideRegion:
    """pixels: (h, w, 3) at the slide's finest level; box: where they lie, in level-0 pixels."""

    box: Box
    pixels: RGB


@dataclass(frozen=True)
class SlideSample:
    """Regions in reading order, those read for their darkness last; none without tissue.

    picture: the slide they were taken from; of: places with some tissue, glassy borders included;
    thumbnail_mpp: of the picture; tissue: share of it; size: of level 0.
    """

    regions: tuple[SlideRegion, ...]
    picture: SlidePicture
    of: int
    thumbnail_mpp: float
    tissue: float
    size: tuple[int, int]


def is_slide(path: Path, max_pixels: int = MAX_PIXELS) -> bool:
    """Return whether a file is read by regions: a vendor's slide, DICOM, a TIFF of great size.

    A small SVS or TIFF is an image like any other. Never raises: what is no slide is decoded, and
    refused there with its reason.
    """
    try:
        # Files of /proc are regular and empty; some are waited on for ever when they are read.
        if not path.is_file() or path.stat().st_size == 0:
            return False
        if vendor_of(path) not in _PLAIN_TIFF:
            return True
        size = first_page_size(path)
    except (ImageReadError, OSError, ValueError):
        return False
    return size is not None and size[0] * size[1] > max_pixels


def sample_slide(
    path: Path, stated_mpp: float | None = None, *, count: int = REGIONS
) -> SlideSample:
    """Return up to `count` regions of tissue, as far from each other as they can be.

    A few more follow where the thumbnail shows tissue darker than the region that would stand for
    it (`darkness.unlike`). Raises `ImageReadError` for a damaged slide and `ResolutionError` when
    the scale is not known or too coarse for the engines.
    """
    with open_slide(path, stated_mpp) as slide:
        plan = plan_regions(slide, 1)
        places = _worthwhile(plan, count)
        frame = tuple(place.box for place in places)
        even = tuple(place.box for place in spread(places, count))
        depth = depths(frame, haematoxylin(frame, slide.facts.bounds, plan.mask))
        dark = unlike(frame, even, depth)
        regions = tuple(SlideRegion(box, native(slide, box)) for box in (*even, *dark))
        return SlideSample(
            regions=regions,
            picture=picture_of(slide, plan.mask.rgb, depth, dark),
            of=len(plan.candidates),
            thumbnail_mpp=plan.mask.mpp,
            tissue=plan.mask.shares()["tissue"],
            size=slide.dimensions,
        )


def picture_of(
    slide: Slide, thumbnail: RGB, depth: Mapping[Box, float], dark: tuple[Box, ...] = ()
) -> SlidePicture:
    """Return what a case keeps of a slide; reads the whole file for its digest.

    depth: of every place of the frame; empty where a person picked the regions.
    """
    with slide.path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return SlidePicture(
        path=slide.path,
        name=printable(slide.path.name),
        sha256=digest,
        reader=slide.facts.reader,
        pixels=thumbnail,
        box=slide.facts.bounds,
        resolution=slide.resolution,
        frame=tuple(depth),
        notes=slide.facts.notes,
        depth=depth,
        dark=dark,
    )


def read_regions(path: Path, boxes: Sequence[Box]) -> tuple[SlideRegion, ...]:
    """Return regions of a slide at its finest level, in the order given."""
    with open_slide(path) as slide:
        return tuple(SlideRegion(box, native(slide, box)) for box in boxes)


def spread(places: tuple[GridTile, ...], count: int) -> tuple[GridTile, ...]:
    """Return up to `count` places, each next one farthest from those taken; in reading order.

    The first is the one with most tissue. Nothing is random: the same slide gives the same places.
    """
    if not places:
        return ()
    where = np.array([(place.column, place.row) for place in places], float)
    first = max(range(len(places)), key=lambda i: (places[i].tissue, -i))
    taken, distance = [first], np.full(len(places), np.inf)
    while len(taken) < min(count, len(places)):
        distance = np.minimum(distance, ((where - where[taken[-1]]) ** 2).sum(axis=1))
        distance[taken] = -1
        taken.append(int(distance.argmax()))
    return tuple(sorted((places[i] for i in taken), key=lambda place: (place.row, place.column)))


def plan_regions(slide: Slide, least: int) -> TilePlan:
    """Lay out large regions, or small ones where fewer than `least` large ones hold tissue.

    Raises as `look_at` does.
    """
    plan = plan_tiles_of(slide, TileRules(target_mpp=WORKING_MPP, size_px=REGION_PX))
    if len(plan.candidates) >= least:
        return plan
    small = TileRules(target_mpp=WORKING_MPP, size_px=SMALL_REGION_PX)
    return lay_out(slide, small, plan.mask)


def _worthwhile(plan: TilePlan, count: int) -> tuple[GridTile, ...]:
    """Leave borders with much glass out, as long as there are enough places without."""
    rich = tuple(p for p in plan.candidates if p.tissue >= plan.rules.min_tissue)
    return rich if len(rich) >= count else plan.candidates


def native(slide: Slide, box: Box) -> RGB:
    """Return a box of a slide at its finest level."""
    return slide.read_region(box, (box[2], box[3]))
