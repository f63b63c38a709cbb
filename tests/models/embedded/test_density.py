import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.models.embedded.density import (
    SparePool,
    Workspace,
    blur,
    channel_histogram,
    optical_density,
    white_point,
)


def _flat(level: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    return np.full((*shape, 3), level, np.uint8)


def test_density_is_the_log_of_white_over_pixel() -> None:
    white = np.array([240, 241, 242], np.float32)
    rgb = np.dstack([np.full((8, 8), v, np.uint8) for v in (100, 50, 200)])
    od = optical_density(rgb, white, Workspace())
    expected = np.log((white + 1) / (np.array([100, 50, 200]) + 1))
    assert od.shape == (3, 8, 8)
    assert od.dtype == np.float32
    np.testing.assert_allclose(od[:, 0, 0], expected, rtol=1e-5)


def test_density_is_never_negative_above_the_white_point() -> None:
    od = optical_density(_flat(255), np.full(3, 230, np.float32), Workspace())
    assert od.max() == 0


@given(st.integers(0, 255))
def test_white_point_is_held_between_225_and_255(level: int) -> None:
    white = white_point(channel_histogram(_flat(level)))
    assert white.dtype == np.float32
    assert white.tolist() == [min(max(level, 225), 255)] * 3


def test_white_point_of_nothing_is_white() -> None:
    assert white_point(np.zeros((3, 256), np.int64)).tolist() == [255.0] * 3


def test_white_point_ignores_a_few_brighter_pixels() -> None:
    histogram = np.zeros((3, 256), np.int64)
    histogram[:, 235], histogram[:, 255] = 9990, 10
    assert white_point(histogram).tolist() == [235.0] * 3


@pytest.mark.parametrize("sigma", [0.8, 2.0, 4.0])
def test_blur_reaches_three_sigma_and_no_further(sigma: float) -> None:
    image = np.zeros((61, 61), np.float32)
    image[30, 30] = 1
    out = blur(image, sigma)
    reach = int(np.ceil(3 * sigma))
    outside = np.hypot(*np.mgrid[-30:31, -30:31]) > reach * np.sqrt(2) + 0.5
    assert out[outside].max() == 0
    assert out.sum() == pytest.approx(1, abs=1e-4)


def test_workspace_returns_the_same_buffer_for_the_same_request() -> None:
    work = Workspace()
    assert np.shares_memory(work.get("a", (3, 4)), work.get("a", (3, 4)))
    assert not np.shares_memory(work.get("a", (4, 3)), work.get("b", (4, 3)))


def test_a_name_keeps_one_block_for_all_shapes() -> None:
    work = Workspace()
    large = work.get("a", (4, 5))
    small = work.get("a", (2, 3))
    assert small.shape == (2, 3)
    assert np.shares_memory(large, small)


def test_a_workspace_is_lent_to_one_caller_at_a_time_and_used_again() -> None:
    pool = SparePool()
    with pool.workspace() as first, pool.workspace() as second:
        assert first is not second
    with pool.workspace() as again:
        assert again in (first, second)
