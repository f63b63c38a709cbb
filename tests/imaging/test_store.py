"""The store of tiles: halo, memory, sharing between threads, identity."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from he_fields import RGB, he_field
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.errors import ResolutionError
from immunopath.domain.quality import Verdict
from immunopath.imaging.decode import DecodedImage
from immunopath.imaging.tiles import TileStore, plan_tiles
from immunopath.models.protocols import TileSource


def decoded(pixels: RGB, sha: str = "ab" * 32) -> DecodedImage:
    return DecodedImage(pixels, "field.png", sha, "cd" * 32, "PNG", None)


@pytest.fixture(scope="module")
def field() -> RGB:
    return he_field(1100, 1100, seed=1)


@pytest.fixture
def store(field: RGB) -> TileStore:
    made = TileStore()
    made.add_image(decoded(field), 0.5)
    return made


def test_the_store_is_a_tile_source(store: TileStore) -> None:
    source: TileSource = store
    assert [tile.box for tile in source.tiles] == list(plan_tiles(1100, 1100, 0.5))
    assert len(source.tiles) == 9


def test_a_tile_at_its_own_scale_is_the_crop(store: TileStore, field: RGB) -> None:
    for tile in store.tiles:
        x, y, w, h = tile.box
        assert np.array_equal(store.pixels(tile.tile_id, 0.5), field[y : y + h, x : x + w])


def test_a_halo_adds_true_surroundings_and_stops_at_the_border(
    store: TileStore, field: RGB
) -> None:
    corner, middle = store.all_tiles[0], store.all_tiles[4]
    assert store.halo(corner.tile_id, 10.0) == (0.0, 0.0, 10.0, 10.0)
    assert np.array_equal(store.pixels(corner.tile_id, 0.5, 10.0), field[:532, :532])
    assert store.halo(middle.tile_id, 10.0) == (10.0, 10.0, 10.0, 10.0)
    x, y, w, h = middle.box
    around = field[y - 20 : y + h + 20, x - 20 : x + w + 20]
    assert np.array_equal(store.pixels(middle.tile_id, 0.5, 10.0), around)


def test_a_halo_larger_than_the_image_is_the_whole_image(store: TileStore, field: RGB) -> None:
    middle = store.all_tiles[4].tile_id
    assert np.array_equal(store.pixels(middle, 0.5, 5000.0), field)


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 400), st.integers(60, 400), st.floats(0, 80), st.floats(0.25, 1.5))
def test_halo_and_pixels_agree_on_the_extent(
    height: int, width: int, halo_um: float, mpp: float
) -> None:
    store = TileStore()
    added = store.add_image(decoded(np.full((height, width, 3), 240, np.uint8)), 1.0)
    for tile in added.tiles:
        left, top, right, bottom = store.halo(tile.tile_id, halo_um)
        assert max(left, top, right, bottom) <= halo_um + 0.5
        out = store.pixels(tile.tile_id, mpp, halo_um)
        assert abs(out.shape[1] * mpp - (left + tile.box[2] + right)) <= mpp / 2 + 1e-6
        assert abs(out.shape[0] * mpp - (top + tile.box[3] + bottom)) <= mpp / 2 + 1e-6


@pytest.mark.parametrize("halo", [-1.0, float("nan"), float("inf")])
def test_a_halo_must_be_a_length(store: TileStore, halo: float) -> None:
    with pytest.raises(ValueError, match="not a length"):
        store.pixels(store.tiles[0].tile_id, 0.5, halo)


def test_only_the_crop_is_resampled(store: TileStore, field: RGB) -> None:
    tile = store.all_tiles[0]
    crop = np.ascontiguousarray(field[:512, :512])
    expected = cv2.resize(crop, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.array_equal(store.pixels(tile.tile_id, 1.0), expected)


def test_tiles_are_made_once_and_cannot_be_written(store: TileStore) -> None:
    tile = store.tiles[0].tile_id
    first = store.pixels(tile, 0.7, 5.0)
    assert store.pixels(tile, 0.7, 5.0) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        store.image(0, 5000)[0, 0, 0] = 1


def test_the_cache_forgets_the_oldest_but_stays_right(field: RGB) -> None:
    small = TileStore(cache_bytes=512 * 512 * 3)
    small.add_image(decoded(field), 0.5)
    first = small.pixels(small.all_tiles[0].tile_id, 0.5)
    small.pixels(small.all_tiles[1].tile_id, 0.5)
    again = small.pixels(small.all_tiles[0].tile_id, 0.5)
    assert again is not first
    assert np.array_equal(again, first)


def test_identical_files_in_one_case_do_not_collide() -> None:
    store = TileStore()
    rgb = he_field(100, 100)
    ids = [tile.tile_id for _ in range(2) for tile in store.add_image(decoded(rgb), 0.5).tiles]
    assert ids == ["abababababab.0:0,0,100,100", "abababababab.1:0,0,100,100"]
    assert [tile.image_index for tile in store.all_tiles] == [0, 1]


def test_refused_tiles_are_counted_but_not_offered() -> None:
    store = TileStore()
    rgb = np.full((512, 1024, 3), 245, np.uint8)
    rgb[:, :512] = he_field(512, 512, seed=3)
    added = store.add_image(decoded(rgb), 0.5)
    assert [tile.quality.verdict for tile in added.tiles] == [Verdict.accept, Verdict.refuse]
    assert [tile.box for tile in store.tiles] == [(0, 0, 512, 512)]
    assert len(store.all_tiles) == 2


def test_a_corner_of_a_photograph_is_still_a_photograph() -> None:
    store = TileStore()
    rgb = np.empty((512, 2048, 3), np.uint8)
    rgb[:] = (120, 90, 30)
    rgb[:, :512] = he_field(512, 512, seed=3)
    added = store.add_image(decoded(rgb), 0.5)
    assert added.quality.verdict is Verdict.refuse
    assert store.tiles == ()
    assert added.tiles[0].quality.reason.startswith("the image as a whole: ")


def test_a_biopsy_in_much_glass_keeps_its_tissue_tile() -> None:
    store = TileStore()
    rgb = np.full((2048, 4096, 3), 245, np.uint8)
    rgb[:512, :512] = he_field(512, 512, seed=3)
    added = store.add_image(decoded(rgb), 0.5)
    assert added.quality.verdict is Verdict.refuse
    assert [tile.box for tile in store.tiles] == [(0, 0, 512, 512)]


def test_tiny_tiles_are_refused_by_their_source_pixels() -> None:
    added = TileStore().add_image(decoded(he_field(40, 300)), 0.5)
    assert added.quality.checks[0].code == "side"
    assert added.quality.verdict is Verdict.refuse


def test_a_whole_image_is_reduced_but_never_enlarged(store: TileStore, field: RGB) -> None:
    assert store.image(0, 275).shape == (275, 275, 3)
    assert np.array_equal(store.image(0, 9999), field)
    with pytest.raises(ValueError, match="0 pixels"):
        store.image(0, 0)


def test_unknown_tiles_and_impossible_scales_are_errors(store: TileStore) -> None:
    with pytest.raises(KeyError):
        store.pixels("nobody:0,0,1,1", 0.5)
    with pytest.raises(ResolutionError):
        store.pixels(store.tiles[0].tile_id, 0.0)
    with pytest.raises(ResolutionError):
        store.add_image(decoded(he_field(60, 60)), float("nan"))


def test_many_readers_get_the_same_tiles(store: TileStore, field: RGB) -> None:
    """Agents read in parallel, with a cache so small that it is emptied all the time."""
    crowded = TileStore(cache_bytes=1_000_000)
    crowded.add_image(decoded(field), 0.5)
    wanted = [(t.tile_id, mpp, 8.0) for t in crowded.tiles for mpp in (0.5, 0.8, 1.0)]
    expected = {key: store.pixels(*key).copy() for key in wanted}

    def read(offset: int) -> bool:
        keys = wanted[offset:] + wanted[:offset]
        return all(np.array_equal(crowded.pixels(*key), expected[key]) for key in keys * 3)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, range(6)))


def test_images_can_be_added_while_others_are_read() -> None:
    store = TileStore()
    rgb = he_field(120, 120)
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda n: store.add_image(decoded(rgb, f"{n:064x}"), 0.5), range(8)))
    assert sorted(image.index for image in added) == list(range(8))
    assert len({tile.tile_id for tile in store.all_tiles}) == 8
