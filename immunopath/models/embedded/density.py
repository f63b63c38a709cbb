"""Optical density of RGB pixels at the working resolution, in reused buffers.

Optical density is the natural logarithm of the white point over the pixel, by a table of 256
entries per channel. The white point belongs to the image, not to the tile: two tiles of one image
must see the same stain.
"""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.protocols import RGB

WORK_MPP = 0.5
"""µm per pixel at which every nuclei stage works."""

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
BOOL = npt.NDArray[np.bool_]

WHITE_MIN, WHITE_MAX = 225, 255
WHITE_SHARE = 0.995
TISSUE_OD_SUM = 0.25
"""Sum of the three densities (3 x 3 mean) from which a pixel is tissue; glass is below 0.1."""


class Workspace:
    """Float32 buffers by name, kept between tiles: page faults are half of a blur's time.

    Not safe for threads: one workspace per worker. A buffer is overwritten by the next request
    with the same name.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, F32] = {}

    def get(self, name: str, shape: tuple[int, ...]) -> F32:
        """Return the float32 buffer of this name, uninitialised, in the shape asked for.

        A name keeps one block of memory as large as its largest request.
        """
        size = math.prod(shape)
        block = self._buffers.get(name)
        if block is None or block.size < size:
            block = self._buffers[name] = np.empty(size, np.float32)
        buffer: F32 = block[:size].reshape(shape)
        return buffer


class SparePool:
    """Workspaces that wait for the next case; safe for threads, keeps at most two."""

    def __init__(self) -> None:
        self._spare: deque[Workspace] = deque(maxlen=2)

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Lend a workspace to one caller at a time."""
        try:
            work = self._spare.pop()
        except IndexError:
            work = Workspace()
        try:
            yield work
        finally:
            self._spare.append(work)


def channel_histogram(rgb: RGB) -> I64:
    """Return the grey-level counts of every second pixel per axis, shape (3, 256)."""
    sampled = np.ascontiguousarray(rgb[::2, ::2])
    counts = [cv2.calcHist([sampled], [c], None, [256], [0, 256]).ravel() for c in range(3)]
    return np.stack(counts).astype(np.int64)


def white_point(histogram: I64) -> F32:
    """Return the white point per channel, shape (3,), in [225, 255].

    The 99.5th percentile of the pooled `histogram` (shape (3, 256)); held to the range so that a
    field without glass is not read as brighter than it is. 255 for an empty histogram.
    """
    total = histogram.sum(axis=1, keepdims=True)
    if int(total.min()) == 0:
        return np.full(3, WHITE_MAX, np.float32)
    reached = np.cumsum(histogram, axis=1) >= WHITE_SHARE * total
    level: F32 = np.clip(reached.argmax(axis=1), WHITE_MIN, WHITE_MAX).astype(np.float32)
    return level


def optical_density(rgb: RGB, white: F32, work: Workspace) -> F32:
    """Return densities ln((white + 1) / (pixel + 1)), not below 0, shape (3, h, w), float32."""
    height, width = rgb.shape[:2]
    levels = np.arange(256, dtype=np.float32) + 1
    table = np.maximum(np.log(white[:, None] + 1) - np.log(levels), 0).astype(np.float32)
    out = work.get("od", (3, height, width))
    for channel, plane in enumerate(cv2.split(rgb)):
        cv2.LUT(plane, table[channel], dst=out[channel])
    return out


def reach(sigma_px: float) -> int:
    """Return how many pixels a Gaussian of `sigma_px` reaches: it is cut at three sigma."""
    return math.ceil(3 * sigma_px)


def blur(src: F32, sigma_px: float, dst: F32 | None = None) -> F32:
    """Return `src` under a Gaussian of `sigma_px` pixels, cut at three sigma, mirrored borders.

    The cut bounds the support, so that a halo makes tiles agree exactly.
    """
    size = 2 * reach(sigma_px) + 1
    out: Any = cv2.GaussianBlur(src, (size, size), sigma_px, dst=dst)
    blurred: F32 = out
    return blurred
