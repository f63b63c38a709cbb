"""From paths to checked tiles."""

from pathlib import Path

import numpy as np
import pytest
from he_fields import he_field
from PIL import Image

from immunopath.domain.errors import ImageReadError, InputError, ResolutionError
from immunopath.domain.quality import IntakeResult, Verdict
from immunopath.imaging.intake import take_in
from immunopath.imaging.tiles import TileStore


@pytest.fixture
def field(tmp_path: Path) -> Path:
    path = tmp_path / "field.png"
    Image.fromarray(he_field(300, 300, seed=2)).save(path)
    return path


def test_a_small_image_is_one_tile_as_it_is(field: Path) -> None:
    store = TileStore()
    found = take_in([field], 0.5, store)
    assert found.usable
    assert found.reason == ""
    (image,) = found.images
    assert (image.name, image.width, image.height, image.mpp) == ("field.png", 300, 300, 0.5)
    assert image.mpp_source == "user"
    assert [tile.box for tile in found.accepted] == [(0, 0, 300, 300)]
    assert store.tiles == found.accepted
    assert image.quality == found.tiles[0].quality


def test_every_tile_says_how_its_scale_is_known(field: Path) -> None:
    assert {t.mpp_source for t in take_in([field], 0.5, TileStore()).tiles} == {"user"}
    assert {t.mpp_source for t in take_in([field], None, TileStore()).tiles} == {"assumed"}


def test_the_same_pixels_twice_in_one_case_are_refused(field: Path, tmp_path: Path) -> None:
    """Also in another container: every nucleus would count twice."""
    Image.open(field).save(tmp_path / "copy.tif")
    with pytest.raises(InputError, match=r"copy\.tif: holds the same pixels as field\.png"):
        take_in([field, tmp_path / "copy.tif"], 0.5, TileStore())


def test_an_assumed_scale_is_said(field: Path) -> None:
    (image,) = take_in([field], None, TileStore()).images
    assert image.mpp_source == "assumed"
    assert any("is assumed" in note for note in image.notes)


def test_a_file_that_states_its_scale_is_believed(shared_images: Path) -> None:
    path = shared_images / "he_other" / "instanseg_tma_HE_0.5mpp.tif"
    found = take_in([path], None, TileStore())
    assert found.images[0].mpp == pytest.approx(0.50008, abs=1e-5)
    assert found.images[0].mpp_source == "tag"
    assert len(found.accepted) == len(found.tiles) == 9


def test_an_unusable_image_is_a_typed_result(tmp_path: Path) -> None:
    Image.fromarray(np.full((300, 300, 3), 245, np.uint8)).save(tmp_path / "glass.png")
    found = take_in([tmp_path / "glass.png"], 0.5, TileStore())
    assert not found.usable
    assert "blank glass" in found.reason
    assert found.accepted == ()
    assert len(found.tiles) == 1


def test_of_many_unusable_tiles_the_commonest_reason_is_told(shared_images: Path) -> None:
    found = take_in([shared_images / "negatives" / "skimage_coffee.png"], 0.5, TileStore())
    assert not found.usable
    assert found.reason.startswith("none of 2 tiles is usable; 2 of them: ")


def test_one_good_image_is_enough(field: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((300, 300, 3), 245, np.uint8)).save(tmp_path / "glass.png")
    found = take_in([tmp_path / "glass.png", field], 0.5, TileStore())
    assert found.usable
    assert [image.quality.verdict for image in found.images] == [Verdict.refuse, Verdict.accept]
    assert [tile.image_index for tile in found.accepted] == [1]


def test_a_bad_file_or_scale_is_an_error(field: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageReadError):
        take_in([field, tmp_path / "none.png"], 0.5, TileStore())
    with pytest.raises(ResolutionError):
        take_in([field], 400.0, TileStore())
    with pytest.raises(ImageReadError, match="exceed the limit"):
        take_in([field], 0.5, TileStore(), max_pixels=100)


def test_the_result_survives_json(field: Path) -> None:
    found = take_in([field], 0.5, TileStore())
    assert IntakeResult.model_validate_json(found.model_dump_json()) == found
