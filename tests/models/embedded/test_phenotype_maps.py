"""Tiles join to whole-field maps without gap."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from pixel_store import CORE, pixels, store_of

from immunopath.models.embedded.phenotype_constants import shipped
from immunopath.models.embedded.phenotype_maps import BLOCK_MM2, field_maps
from immunopath.models.protocols import RGB


@pytest.fixture(scope="module")
def core(shared_images: Path) -> RGB:
    return pixels(shared_images / CORE)


def test_the_joined_tiles_cover_the_field(core: RGB) -> None:
    (found,) = field_maps(store_of(core), shipped())
    height, width = (n * 0.5 for n in core.shape[:2])
    assert found.extent_um == pytest.approx((height, width), abs=13)
    assert found.tissue_mm2 == pytest.approx(0.376, abs=0.01)
    assert found.share.shape == found.nest.shape == found.tissue.shape == found.is_nest.shape
    seams = found.tissue[18:24, 12:44], found.tissue[16:45, 18:23]
    assert all(seam.mean() > 0.95 for seam in seams)


def test_maps_lie_where_the_tissue_lies(core: RGB) -> None:
    (found,) = field_maps(store_of(core), shipped())
    upper, nest = found.share[5:12, 22:36], found.share[30:42, 14:28]
    assert upper.mean() > 0.6
    assert nest.mean() < 0.4
    assert found.is_nest[30:42, 14:28].mean() > 0.6
    assert not found.is_nest[5:12, 22:36].any()


def test_nests_are_tissue_in_patches_of_size(core: RGB) -> None:
    (found,) = field_maps(store_of(core), shipped())
    assert not (found.is_nest & ~found.tissue).any()
    assert found.is_nest.sum() * BLOCK_MM2 > 0.05


def test_every_image_has_its_own_map(core: RGB) -> None:
    parts = core[:400, 300:900].copy(), core[600:1000, 200:700].copy()
    maps = field_maps(store_of(*parts), shipped())
    assert [m.share.shape for m in maps] == [(15, 23), (15, 19)]


def test_an_image_smaller_than_a_block_has_an_empty_map() -> None:
    tiny = np.full((30, 200, 3), (180, 120, 170), np.uint8)
    store = store_of(tiny)
    for found in field_maps(store, shipped()):
        assert found.tissue_mm2 == 0
