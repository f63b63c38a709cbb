"""A slide enters a case as regions of tissue spread over it."""

from pathlib import Path

import numpy as np
import pytest
from he_fields import he_field
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_files import CMU, GLASS, OVERVIEW, tissue_on_glass, write_pyramid
from test_opening import finer_dicom

from immunopath.domain.errors import ImageReadError, ResolutionError
from immunopath.imaging.intake import take_in
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.sample import REGIONS, is_slide, sample_slide, spread
from immunopath.imaging.tiles import TileStore

LIMIT = 2_000_000
"""Pixels above which a TIFF is a slide in these tests."""


def test_what_is_a_slide(tmp_path: Path) -> None:
    large = write_pyramid(tmp_path / "large.tif", tissue_on_glass(), levels=1)
    assert is_slide(OVERVIEW)
    assert not is_slide(CMU)
    assert is_slide(CMU, LIMIT)
    assert is_slide(large, LIMIT)
    assert not is_slide(large)
    assert not is_slide(tmp_path)
    assert not is_slide(tmp_path / "missing")
    (tmp_path / "text.svs").write_text("no slide")
    assert not is_slide(tmp_path / "text.svs")


@given(
    cells=st.sets(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60),
    count=st.integers(1, 20),
)
@settings(deadline=None, max_examples=50)
def test_places_are_spread(cells: set[tuple[int, int]], count: int) -> None:
    places = tuple(GridTile(c, r, (c, r, 1, 1), 0.5, 0, 0) for c, r in sorted(cells))
    taken = spread(places, count)
    assert len(taken) == len(set(taken)) == min(count, len(places))
    assert set(taken) <= set(places)
    assert list(taken) == sorted(taken, key=lambda place: (place.row, place.column))


def test_a_far_corner_is_not_forgotten() -> None:
    block = [GridTile(c, r, (c, r, 1, 1), 1.0, 0, 0) for c in range(8) for r in range(8)]
    far = GridTile(40, 40, (40, 40, 1, 1), 0.6, 0, 0)
    assert far in spread((*block, far), 2)


def test_a_slide_is_another_source_of_images(tmp_path: Path) -> None:
    rgb = tissue_on_glass(2600, 3000)
    path = write_pyramid(tmp_path / "s.tif", rgb)
    store = TileStore()
    found = take_in([path], None, store, max_pixels=LIMIT)
    assert found.usable
    assert 1 < len(found.images) <= REGIONS
    for index, image in enumerate(found.images):
        assert image.region is not None
        x, y, width, height = image.region
        assert (image.width, image.height) == (width, height) == (1024, 1024)
        assert (image.mpp, image.mpp_source) == (0.5, "tag")
        assert image.name == f"s.tif [{x},{y},{width},{height}]"
        assert np.array_equal(store.image(index, 5000), rgb[y : y + height, x : x + width])
        assert any("regions with tissue" in note for note in image.notes)
    assert len({image.sha256 for image in found.images}) == 1
    assert found == take_in([path], None, TileStore(), max_pixels=LIMIT)


def test_a_small_image_has_no_region() -> None:
    (image,) = take_in([CMU], None, TileStore()).images
    assert image.region is None
    assert image.format == "SVS"


def test_an_empty_slide_is_refused_with_its_picture(tmp_path: Path) -> None:
    rgb = np.full((1800, 2000, 3), GLASS, np.uint8)
    rgb[700:740, 700:740] = he_field(40, 40)
    path = write_pyramid(tmp_path / "s.tif", rgb)
    store = TileStore()
    found = take_in([path], None, store, max_pixels=LIMIT)
    assert not found.usable
    assert found.tiles == ()
    assert "s.tif: no region of the slide holds enough tissue; tissue covers 0." in found.reason
    (image,) = found.images
    assert (image.width, image.height) == (2000, 1800)
    assert store.image(0, 5000).shape == (112, 125, 3)


def test_an_empty_slide_does_not_spoil_another(tmp_path: Path) -> None:
    empty = write_pyramid(tmp_path / "e.tif", np.full((1800, 2000, 3), GLASS, np.uint8))
    full = write_pyramid(tmp_path / "f.tif", tissue_on_glass(1600, 2080))
    store = TileStore()
    found = take_in([empty, full], None, store, max_pixels=LIMIT)
    assert found.usable
    assert found.reason == ""
    assert {tile.image_index for tile in found.tiles} == set(range(1, len(found.images)))
    assert store.image(0, 5000).shape[:2] == (112, 125)


def test_borders_with_much_glass_are_left_out_when_there_is_enough(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tif", tissue_on_glass(2600, 3000))
    boxes = {region.box for region in sample_slide(path, count=1).regions}
    assert boxes == {(1024, 1024, 1024, 1024)}
    assert len(sample_slide(path, count=REGIONS).regions) > 1


def test_a_biopsy_gets_small_regions(tmp_path: Path) -> None:
    rgb = np.full((1600, 2080, 3), GLASS, np.uint8)
    rgb[560:960, 1040:1480] = he_field(400, 440)
    sample = sample_slide(write_pyramid(tmp_path / "s.tif", rgb))
    assert [region.box[2] for region in sample.regions] == [512]


def test_dicom_needs_a_scale_that_tiles_can_use(tmp_path: Path) -> None:
    with pytest.raises(ResolutionError, match="states no resolution"):
        take_in([OVERVIEW], None, TileStore())
    assert take_in([finer_dicom(tmp_path / "a.dcm")], None, TileStore()).images


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="needs Linux' /proc")
def test_a_file_that_never_ends_its_answer_is_not_opened() -> None:
    assert not is_slide(Path("/proc/kmsg"))
    with pytest.raises(ImageReadError, match="is empty"):
        take_in((Path("/proc/kmsg"),), None, TileStore())
