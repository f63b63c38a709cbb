"""Gaussian means around points only, as one matrix product over their square windows.

A Gaussian is needed at a thousand points, not at a quarter of a million pixels, and copying whole
windows is far cheaper than reading single pixels. Points go through in groups that fit a core's
cache.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.density import F32, reach

I32 = npt.NDArray[np.int32]
GROUP = 128
"""Points per product: 128 windows of 25 x 25 float32 are 0.3 MB."""


def groups(x: I32, y: I32) -> Iterator[tuple[slice, I32, I32]]:
    """Yield slices of at most `GROUP` points with their x and y."""
    for start in range(0, len(x), GROUP):
        part = slice(start, start + GROUP)
        yield part, x[part], y[part]


def mirrored(image: F32, radius: int) -> F32:
    """Return `image` with `radius` more pixels on every side, mirrored as in `density.blur`."""
    wide: Any = cv2.copyMakeBorder(image, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
    out: F32 = wide
    return out


def windows(wide: F32, radius: int) -> F32:
    """Return a view (h, w, side, side) of all windows; `wide` has `radius` more on every side."""
    side = 2 * radius + 1
    view: F32 = np.lib.stride_tricks.sliding_window_view(wide, (side, side))
    return view


def around(view: F32, x: I32, y: I32) -> F32:
    """Return copies of the windows of points, one row each, shape (n, side²)."""
    return view[y, x].reshape(len(x), view.shape[2] * view.shape[3])


@lru_cache(maxsize=8)
def gaussians(sigmas: tuple[float, ...]) -> F32:
    """Return the weights of Gaussians of `sigmas` pixels, (side², k), side from the widest.

    Each is cut at three sigma and sums to 1: the same means that `density.blur` gives.
    """
    widest = max(reach(sigma) for sigma in sigmas)
    side = 2 * widest + 1
    columns = np.zeros((side, side, len(sigmas)), np.float32)
    for k, sigma in enumerate(sigmas):
        own = reach(sigma)
        line = cv2.getGaussianKernel(2 * own + 1, sigma, cv2.CV_64F)
        inner = slice(widest - own, widest + own + 1)
        columns[inner, inner, k] = np.outer(line, line)
    weights = columns.reshape(side * side, len(sigmas))
    weights.setflags(write=False)
    return weights


def gaussian_means(image: F32, x: I32, y: I32, sigmas: tuple[float, ...]) -> tuple[F32, F32]:
    """Return the means of `image` (h, w) and of its squares at points, (k, n) each."""
    weights = gaussians(sigmas)
    radius = max(reach(sigma) for sigma in sigmas)
    view = windows(mirrored(image, radius), radius)
    means, squares = (np.empty((len(sigmas), len(x)), np.float32) for _ in range(2))
    for part, px, py in groups(x, y):
        block = around(view, px, py)
        means[:, part] = (block @ weights).T
        squares[:, part] = (np.multiply(block, block, out=block) @ weights).T
    return means, squares
