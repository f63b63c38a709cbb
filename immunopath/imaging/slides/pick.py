"""Regions of a slide for a person to pick, and the reading of those that were picked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immunopath.domain.errors import ImageReadError, RegionError
from immunopath.domain.region import Region, refuse_outside
from immunopath.domain.units import WORKING_MPP, Resolution
from immunopath.imaging.arrays import RGB
from immunopath.imaging.decode import MAX_PIXELS, printable
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.plan import refuse_scale
from immunopath.imaging.slides.sample import (
    REGIONS,
    SlideRegion,
    native,
    picture_of,
    plan_regions,
)
from immunopath.imaging.slides.slide import Slide
from immunopath.imaging.tiles import Box, SlidePicture

MAX_OFFERED: Final = 4000
"""More places than this cannot be told apart on a thumbnail."""
SHOWN_PX: Final = 1600
"""Longer side of the thumbnail that a person picks on."""


@dataclass(frozen=True)
class Offer:
    """What can be picked of a slide.

    thumbnail: (h, w, 3), of `bounds` in level-0 pixels; size: of level 0; places: those with tissue
    in reading order, at most `MAX_OFFERED`; of: all of those; side_um: side of a place; tissue:
    share of the thumbnail.
    """

    thumbnail: RGB
    bounds: Box
    size: tuple[int, int]
    resolution: Resolution
    places: tuple[GridTile, ...]
    of: int
    side_um: float
    tissue: float


@dataclass(frozen=True)
class Picked:
    """Regions in the order in which they were picked, the slide they are of, and its size."""

    regions: tuple[SlideRegion, ...]
    picture: SlidePicture
    size: tuple[int, int]


def offer_of(path: Path, stated_mpp: float | None = None) -> Offer:
    """Return the places of a slide, or of an image, that hold tissue.

    Places are as large as the regions that are read unasked (512 µm), or 256 µm on a piece so small
    that it has no dozen of those. Raises `ImageReadError` and `ResolutionError` as reading does.
    """
    with _opened(path, stated_mpp) as slide:
        plan = plan_regions(slide, REGIONS)
        return Offer(
            thumbnail=slide.thumbnail(slide.mpp, SHOWN_PX),
            bounds=slide.facts.bounds,
            size=slide.dimensions,
            resolution=slide.resolution,
            places=plan.candidates[:MAX_OFFERED],
            of=len(plan.candidates),
            side_um=plan.rules.side_um,
            tissue=plan.mask.shares()["tissue"],
        )


def look_closer(path: Path, box: Region, max_px: int, stated_mpp: float | None = None) -> RGB:
    """Return a region reduced to at most `max_px` on its longer side, to look at."""
    with _opened(path, stated_mpp) as slide:
        refuse_outside([box], slide.dimensions, printable(path.name))
        shrink = max(1.0, max(box[2:]) / max_px)
        return slide.read_region(box, (round(box[2] / shrink) or 1, round(box[3] / shrink) or 1))


def pick_regions(path: Path, boxes: Sequence[Region], stated_mpp: float | None = None) -> Picked:
    """Return the pixels of regions at the slide's finest level, whatever they show.

    Raises `RegionError` for a region outside the slide or for more pixels than an image may have,
    before any is read; `ImageReadError` and `ResolutionError` as for any slide.
    """
    with _opened(path, stated_mpp) as slide:
        refuse_outside(boxes, slide.dimensions, printable(path.name))
        pixels = sum(width * height for _, _, width, height in boxes)
        if pixels > MAX_PIXELS:
            raise RegionError(
                f"{printable(path.name)}: the picked regions hold {pixels / 1e6:.0f} million "
                f"pixels, at most {MAX_PIXELS / 1e6:.0f} are read; pick fewer or smaller ones"
            )
        refuse_scale(slide, WORKING_MPP)
        return Picked(
            regions=tuple(SlideRegion(box, native(slide, box)) for box in boxes),
            picture=picture_of(slide, slide.thumbnail(slide.mpp, SHOWN_PX), depth={}),
            size=slide.dimensions,
        )


def _opened(path: Path, stated_mpp: float | None) -> Slide:
    if path.is_dir():
        raise ImageReadError(f"{path}: is a folder; name the slide file")
    return open_slide(path, stated_mpp)
