"""What is offered of a slide, and the pixels of what was picked."""

import re
from pathlib import Path

import numpy as np
import pytest
from slide_files import OVERVIEW, write_pyramid

from immunopath.domain.errors import ImageReadError, RegionError, ResolutionError
from immunopath.domain.quality import Verdict
from immunopath.imaging.decode import decode_image
from immunopath.imaging.intake import take_in
from immunopath.imaging.slides import pick
from immunopath.imaging.slides.pick import offer_of, pick_regions
from immunopath.imaging.tiles import TileStore

BOX = (960, 1500, 512, 400)
GLASS_BOX = (0, 0, 512, 512)


@pytest.fixture
def slide(shared_images: Path) -> Path:
    return shared_images.parent / "slides/CMU-1-Small-Region.svs"


def test_places_with_tissue_are_offered_and_glass_is_not(slide: Path) -> None:
    offer = offer_of(slide)
    assert offer.size == (2220, 2967)
    assert (offer.resolution.mpp, offer.resolution.source) == (0.499, "vendor")
    assert (len(offer.places), offer.of, offer.side_um) == (11, 11, 256)
    assert all(place.tissue >= 0.25 for place in offer.places)
    assert GLASS_BOX not in {place.box for place in offer.places}
    picked = pick_regions(slide, [place.box for place in offer.places])
    assert [region.box for region in picked.regions] == [place.box for place in offer.places]


def test_no_more_places_are_offered_than_can_be_told_apart(
    slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pick, "MAX_OFFERED", 4)
    offer = offer_of(slide)
    assert (len(offer.places), offer.of) == (4, 11)


def test_pixels_are_those_of_the_file(slide: Path) -> None:
    x, y, width, height = BOX
    (region,) = pick_regions(slide, [BOX]).regions
    whole = decode_image(slide).pixels
    assert (region.pixels == whole[y : y + height, x : x + width]).all()


def test_picked_regions_are_images_that_say_so_and_no_sample(slide: Path) -> None:
    store = TileStore()
    taken = take_in([slide], None, store, regions=[BOX, GLASS_BOX])
    first, second = taken.images
    assert (first.region, first.picked, first.mpp_source) == (BOX, True, "vendor")
    assert first.name == "CMU-1-Small-Region.svs [960,1500,512,400]"
    assert first.notes == ("region 1 of 2, picked by hand on a slide of 2220 x 2967 px",)
    assert taken.usable
    assert second.quality.verdict is Verdict.refuse
    assert taken.sampling is None
    (picture,) = store.slides.values()
    assert (picture.box, picture.frame) == ((0, 0, 2220, 2967), ())


def test_only_glass_is_a_refusal_with_its_reason(slide: Path) -> None:
    taken = take_in([slide], None, TileStore(), regions=[GLASS_BOX])
    assert not taken.usable
    assert "mostly blank glass" in taken.reason


def test_a_region_outside_the_slide_is_named(slide: Path) -> None:
    with pytest.raises(RegionError, match=r"2000,0,512,512: reaches outside CMU-1-Small-Region"):
        pick_regions(slide, [BOX, (2000, 0, 512, 512)])


def test_more_pixels_than_an_image_may_have_are_not_read(tmp_path: Path) -> None:
    size = (9000, 9000, 3)
    path = write_pyramid(tmp_path / "a.tif", np.full(size, 230, np.uint8), levels=4)
    with pytest.raises(RegionError, match="hold 81 million pixels, at most 80 are read"):
        pick_regions(path, [(0, 0, 9000, 9000)])


def test_a_scale_must_be_known_and_fine_enough(tmp_path: Path, shared_images: Path) -> None:
    patch = shared_images / "lung_he_til/u24_cae100/image_99.png"
    with pytest.raises(ResolutionError, match="states no resolution"):
        offer_of(patch)
    assert offer_of(patch, 0.5).resolution.source == "user"
    (region,) = pick_regions(patch, [(0, 0, 64, 64)], 0.5).regions
    assert region.pixels.shape == (64, 64, 3)
    with pytest.raises(ResolutionError, match="would hold invented detail"):
        offer_of(OVERVIEW, 1.0)


@pytest.mark.parametrize("what", ["folder", "nothing", "empty", "text"])
def test_what_is_no_slide_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.svs"
    if what == "folder":
        path.mkdir()
    elif what != "nothing":
        path.write_text("" if what == "empty" else "a letter")
    for ask in (lambda: offer_of(path), lambda: pick_regions(path, [BOX])):
        with pytest.raises(ImageReadError, match=re.escape(str(path))):
            ask()
