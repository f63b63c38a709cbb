import numpy as np
import pytest

from immunopath.models.embedded.density import blur
from immunopath.models.embedded.windows import GROUP, around, gaussian_means, mirrored, windows

IMAGE = np.random.default_rng(3).random((41, 33)).astype(np.float32)
Y, X = (axis.ravel().astype(np.int32) for axis in np.mgrid[:41, :33])


@pytest.mark.parametrize("sigmas", [(2.0,), (2.0, 4.0), (4.0, 1.0)])
def test_means_at_points_are_those_of_a_blurred_map(sigmas: tuple[float, ...]) -> None:
    assert len(X) > 2 * GROUP
    means, squares = gaussian_means(IMAGE, X, Y, sigmas)
    for k, sigma in enumerate(sigmas):
        np.testing.assert_allclose(means[k], blur(IMAGE, sigma).ravel(), atol=1e-5)
        np.testing.assert_allclose(squares[k], blur(IMAGE * IMAGE, sigma).ravel(), atol=1e-5)


def test_no_points_have_no_means() -> None:
    means, squares = gaussian_means(IMAGE, X[:0], Y[:0], (2.0, 4.0))
    assert means.shape == squares.shape == (2, 0)


def test_an_image_smaller_than_the_window_is_mirrored() -> None:
    tiny = np.full((3, 2), 0.5, np.float32)
    means, _ = gaussian_means(tiny, np.array([1], np.int32), np.array([2], np.int32), (4.0,))
    assert means == pytest.approx(0.5)


def test_a_window_is_centred_on_its_point() -> None:
    view = windows(mirrored(IMAGE, 2), 2)
    (row,) = around(view, np.array([5], np.int32), np.array([7], np.int32))
    np.testing.assert_array_equal(row.reshape(5, 5), IMAGE[5:10, 3:8])
