"""The laws of the grid and of resampling."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import ResolutionError
from immunopath.domain.units import TILE_PX, WORKING_MPP
from immunopath.imaging.tiles import MIN_SLIVER_PX, Box, plan_tiles, resample, resampled_size

sizes = st.integers(1, 6000)
mpps = st.floats(0.1, 4.0)


@given(sizes, sizes, mpps)
def test_tiles_cover_the_image_exactly_and_do_not_overlap(
    width: int, height: int, mpp: float
) -> None:
    boxes = plan_tiles(width, height, mpp)
    columns = sorted({(x, w) for x, _, w, _ in boxes})
    rows = sorted({(y, h) for _, y, _, h in boxes})
    for spans, length in ((columns, width), (rows, height)):
        assert spans[0][0] == 0
        assert all(a + n == b for (a, n), (b, _) in itertools.pairwise(spans))
        assert sum(n for _, n in spans) == length
    assert len(set(boxes)) == len(boxes) == len(columns) * len(rows)
    assert sum(w * h for *_, w, h in boxes) == width * height


@given(sizes, sizes, mpps)
def test_tiles_stay_inside_and_keep_their_size(width: int, height: int, mpp: float) -> None:
    scale = WORKING_MPP / mpp
    largest = (TILE_PX + MIN_SLIVER_PX) * scale + 1
    for x, y, w, h in plan_tiles(width, height, mpp):
        assert x >= 0
        assert y >= 0
        assert 0 < w <= largest
        assert 0 < h <= largest
        assert x + w <= width
        assert y + h <= height


@given(sizes, mpps)
def test_no_sliver_stands_alone(width: int, mpp: float) -> None:
    boxes = plan_tiles(width, 10, mpp)
    if len(boxes) > 1:
        assert boxes[-1][2] >= MIN_SLIVER_PX * WORKING_MPP / mpp - 1


@pytest.mark.parametrize(
    ("width", "height", "mpp", "boxes"),
    [
        (512, 512, 0.5, ((0, 0, 512, 512),)),
        (100, 100, 0.5, ((0, 0, 100, 100),)),
        (1024, 1024, 0.25, ((0, 0, 1024, 1024),)),
        (559, 512, 0.5, ((0, 0, 559, 512),)),
        (560, 512, 0.5, ((0, 0, 512, 512), (512, 0, 48, 512))),
        (256, 300, 1.0, ((0, 0, 256, 256), (0, 256, 256, 44))),
        (256, 256, 0.2, ((0, 0, 256, 256),)),
    ],
)
def test_known_layouts(width: int, height: int, mpp: float, boxes: tuple[Box, ...]) -> None:
    assert plan_tiles(width, height, mpp) == boxes


def test_tiles_come_in_reading_order() -> None:
    boxes = plan_tiles(1100, 1100, 0.5)
    assert list(boxes) == sorted(boxes, key=lambda box: (box[1], box[0]))


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan"), 400.0])
def test_an_impossible_mpp_is_refused(mpp: float) -> None:
    with pytest.raises(ResolutionError):
        plan_tiles(100, 100, mpp)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no tiles"):
        plan_tiles(*size, 0.5)


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.2, 2.0), st.floats(0.2, 2.0))
def test_resampling_keeps_the_micrometres(w: int, h: int, mpp_from: float, mpp_to: float) -> None:
    out = resample(np.zeros((h, w, 3), np.uint8), mpp_from, mpp_to)
    width, height = resampled_size(w, h, mpp_from, mpp_to)
    assert out.shape == (height, width, 3)
    assert abs(width * mpp_to - w * mpp_from) <= max(mpp_to / 2, mpp_to - w * mpp_from) + 1e-9


def test_resampling_to_the_same_scale_returns_the_same_array() -> None:
    rgb = np.zeros((40, 50, 3), np.uint8)
    assert resample(rgb, 0.5, 0.5) is rgb
    assert resample(rgb, 0.50008, 0.5) is rgb


def test_shrinking_averages_areas() -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 200
    rgb = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    assert (resample(rgb, 0.25, 0.5) == 100).all()


def test_a_flat_field_stays_flat_in_both_directions() -> None:
    rgb = np.full((30, 40, 3), (200, 120, 180), np.uint8)
    for target in (0.2, 0.9):
        assert (resample(rgb, 0.5, target) == (200, 120, 180)).all()
