"""Patches: the stated physical size, only true pixels, spread over the case."""

from pathlib import Path

import numpy as np
import pytest
from stores import CORE, store_of

from immunopath.domain.errors import ImageSizeError
from immunopath.imaging.decode import decode_image
from immunopath.imaging.tiles import TileStore
from immunopath.models.foundation.medgemma.patches import Patch, cut_patches, units_of
from immunopath.models.protocols import RGB


@pytest.fixture
def tissue(shared_images: Path) -> RGB:
    """A real core, 1380 x 1484 px at 0.5 µm per pixel."""
    return decode_image(shared_images / CORE).pixels


def all_accepted(store: TileStore) -> TileStore:
    assert len(store.tiles) == len(store.all_tiles) > 0
    return store


@pytest.mark.parametrize(
    ("mpp", "expected"), [(0.5, 1), (0.25, 4), (1.0, 1)], ids=["256 um", "128 um", "512 um"]
)
def test_a_tile_gives_as_many_patches_as_fit(tissue: RGB, mpp: float, expected: int) -> None:
    store = all_accepted(store_of(tissue[300:812, 400:912], mpp=0.5))
    if mpp == 1.0:
        with pytest.raises(ImageSizeError, match="512 µm a side"):
            cut_patches(store, mpp, 512, 32)
        return
    patches = cut_patches(store, mpp, 512, 32)
    assert len(patches) == expected
    assert {p.pixels.shape for p in patches} == {(512, 512, 3)}


def test_four_patches_of_a_tile_are_its_four_quarters(tissue: RGB) -> None:
    store = all_accepted(store_of(tissue[300:812, 400:912], mpp=0.5))
    tile = store.pixels(store.tiles[0].tile_id, 0.25)
    got = [p.pixels for p in cut_patches(store, 0.25, 512, 32)]
    want = [tile[y : y + 512, x : x + 512] for y in (0, 512) for x in (0, 512)]
    assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


def test_a_narrow_tile_is_completed_by_its_true_surroundings(tissue: RGB) -> None:
    image = tissue[300:812, 400:1100]
    store = all_accepted(store_of(image, mpp=0.5))
    assert [t.box for t in store.tiles] == [(0, 0, 512, 512), (512, 0, 188, 512)]
    last = cut_patches(store, 0.5, 512, 32)[-1].pixels
    assert np.array_equal(last, image[:, 700 - 512 :])


def test_an_image_smaller_than_a_patch_is_a_named_error_with_a_remedy(tissue: RGB) -> None:
    store = all_accepted(store_of(tissue[300:600, 400:912], mpp=0.5))
    with pytest.raises(ImageSizeError, match=r"px= and mpp="):
        cut_patches(store, 0.5, 512, 32)
    assert cut_patches(store, 0.5, 300, 32)[0].pixels.shape == (300, 300, 3)


def test_the_budget_is_spread_over_the_whole_case(tissue: RGB) -> None:
    store = all_accepted(store_of(tissue[200:1224, 200:1224], mpp=0.5))
    patches = cut_patches(store, 0.25, 256, 4)
    assert len(patches) == 4
    assert len({p.tile_id for p in patches}) == 4
    assert all(0 < p.weight <= 1 for p in patches)


def test_prompts_hold_the_images_they_were_trained_with() -> None:
    patches = [Patch(f"t{i}", np.zeros((8, 8, 3), np.uint8), 0.5) for i in range(5)]
    units = units_of(patches, 2)
    assert [[p.tile_id for p in u.patches] for u in units] == [
        ["t0", "t1"], ["t2", "t3"], ["t4", "t0"],
    ]  # fmt: skip
    assert len(units_of(patches[:1], 4)) == 1
    assert units_of([], 2) == []
    assert units[2].tile_ids == ("t4", "t0")
    assert units[0].weight == 0.5
