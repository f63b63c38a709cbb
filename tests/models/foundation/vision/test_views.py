"""Which pixels a model with a fixed input sees of a tile."""

import numpy as np
from stores import store_of

from immunopath.imaging.tiles import TileStore
from immunopath.models.foundation.vision.views import ViewPlan, too_small, views


def gradient(height: int, width: int) -> np.ndarray:
    """Red is the row, green the column (divided by 8), so that a view says where it lies."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.arange(height)[:, None] // 8
    rgb[..., 1] = np.arange(width)[None, :] // 8
    rgb[..., 2] = 200
    return rgb


def corners(store: TileStore, plan: ViewPlan, tile: int = 0) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of each view, in the pixels of the image (to 8 px)."""
    found = views(store, store.all_tiles[tile], plan)
    return [(int(v[0, 0, 0]) * 8, int(v[0, 0, 1]) * 8, *v.shape[:2]) for v in found]


def test_whole_squares_lie_in_the_middle_of_the_tile() -> None:
    store = store_of(gradient(512, 512))
    grid = corners(store, ViewPlan(0.5, 224, "tile"))
    assert grid == [(32, 32, 224, 224), (32, 256, 224, 224),
                    (256, 32, 224, 224), (256, 256, 224, 224)]  # fmt: skip
    assert corners(store, ViewPlan(0.5, 224, "crop")) == [(144, 144, 224, 224)]
    assert corners(store, ViewPlan(0.5, 512, "tile")) == [(0, 0, 512, 512)]


def test_the_store_resamples_to_the_models_resolution() -> None:
    store = store_of(gradient(512, 512))
    view = views(store, store.all_tiles[0], ViewPlan(1.0, 224, "tile"))
    assert [v.shape for v in view] == [(224, 224, 3)]
    assert abs(int(view[0][0, 0, 0]) * 8 - 32) <= 8  # (256 - 224) / 2 pixels of 1 µm


def test_a_partial_tile_takes_true_surroundings_and_stays_inside_the_image() -> None:
    store = store_of(gradient(512, 612))
    assert [t.box for t in store.all_tiles] == [(0, 0, 512, 512), (512, 0, 100, 512)]
    right = corners(store, ViewPlan(0.5, 224, "tile"), tile=1)
    assert right == [(32, 384, 224, 224), (256, 384, 224, 224)]  # columns 388 to 612


def test_a_small_image_gives_nothing_and_the_reason_says_what_to_do() -> None:
    store = store_of(gradient(200, 512))
    plan = ViewPlan(0.5, 224, "tile")
    assert views(store, store.all_tiles[0], plan) == ()
    text = too_small(store.all_tiles, plan)
    assert "112 µm" in text
    assert "100 µm" in text
    assert "view=squeeze" in text


def test_two_percent_are_a_rounded_resolution() -> None:
    store = store_of(gradient(221, 224))
    assert [v.shape for v in views(store, store.all_tiles[0], ViewPlan(0.5, 224, "tile"))] == [
        (221, 224, 3)
    ]


def test_squeeze_is_the_whole_tile() -> None:
    store = store_of(gradient(300, 512))
    assert corners(store, ViewPlan(0.5, 224, "squeeze")) == [(0, 0, 300, 512)]
