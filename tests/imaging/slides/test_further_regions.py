"""Regions of further rounds enter a case as those of the first did."""

from pathlib import Path

import numpy as np
import pytest
from he_fields import he_field
from slide_files import GLASS, write_pyramid

from immunopath.domain.errors import InputError
from immunopath.domain.sampling import SamplingDecision, Wanted
from immunopath.domain.units import MppSource, Resolution
from immunopath.imaging.intake import take_in
from immunopath.imaging.more import take_more
from immunopath.imaging.regions import entering
from immunopath.imaging.slides.sample import SlideRegion
from immunopath.imaging.tiles import Box, SlidePicture, TileStore

SIDE, CELLS = 1024, 4


def write_slide(path: Path, alike: frozenset[Box] = frozenset()) -> Path:
    """Write 4 x 4 places of tissue without glass between them; those of `alike` are equal."""
    picture = np.full((SIDE * CELLS, SIDE * CELLS + 512, 3), GLASS, np.uint8)
    field = he_field(SIDE, SIDE, seed=1)
    for row in range(CELLS):
        for column in range(CELLS):
            x, y = SIDE * column, SIDE * row
            shift = (0, 0) if (x, y, SIDE, SIDE) in alike else (37 * row + 11, 61 * column + 7)
            picture[y : y + SIDE, x : x + SIDE] = np.roll(field, shift, (0, 1))
    return write_pyramid(path, picture, levels=4)


def test_equal_regions_are_refused_before_one_enters(tmp_path: Path) -> None:
    plain = TileStore()
    first = take_in([write_slide(tmp_path / "a.tif")], None, plain, max_pixels=SIDE * SIDE)
    (slide,) = plain.slides.values()
    unread = frozenset(slide.frame) - {image.region for image in first.images}
    assert len(unread) == 4
    store, path = TileStore(), write_slide(tmp_path / "b.tif", alike=unread)
    before = take_in([path], None, store, max_pixels=SIDE * SIDE)
    kept = tuple(store.all_tiles)
    wanted = tuple(Wanted(image=n, count=4) for n in range(len(before.images)))
    step = SamplingDecision(wanted=wanted, reason="wide")
    with pytest.raises(InputError, match=r"holds the same pixels as b\.tif"):
        take_more(before, step, store)
    assert tuple(store.all_tiles) == kept
    more = take_more(first, step, plain)
    assert len(more.images) == 16
    assert more.images[-1].notes[-1] == "asked for in round 2: wide"


def test_a_region_bears_the_notes_on_its_slide() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    picture = SlidePicture(
        path=Path("s.svs"),
        name="s.svs",
        sha256="ab" * 32,
        reader="openslide:aperio",
        pixels=pixels,
        box=(0, 0, 8, 8),
        resolution=Resolution(mpp=0.25, source=MppSource.vendor),
        frame=(),
        notes=("colours were converted",),
    )
    found = entering(SlideRegion((0, 4, 4, 4), pixels), picture, "asked for")
    assert found.image.notes == ("colours were converted", "asked for")
    assert (found.image.name, found.image.format) == ("s.svs [0,4,4,4]", "openslide:aperio")
    assert (found.resolution.mpp, found.region) == (0.25, (0, 4, 4, 4))
