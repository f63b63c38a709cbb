"""Block-wise texture and colour of H&E, without looking for any nucleus.

All filters run on optical density (OD, natural logarithm) at `WORKING_MPP`. Two fixed stain planes
are formed from the red and green channels with the mean haematoxylin and eosin vectors of Ruifrok
and Johnston (2001); everything that follows is a mean of such a plane or of a filtered copy of it
over a cell of `CELL_UM` µm, so that maps of neighbouring tiles can be joined by adding cells.

Imports numpy and OpenCV: import this module inside functions, never at package start.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.domain.units import WORKING_MPP
from immunopath.models.protocols import RGB

F32 = npt.NDArray[np.float32]

CELL_UM = 12.5
"""Side of a map cell; a block is `BLOCK_CELLS` x `BLOCK_CELLS` cells (25 µm), stepped by one."""
CELL_PX = round(CELL_UM / WORKING_MPP)
BLOCK_CELLS = 2
GLASS_OD = 0.25
"""Sum of the three ODs below which a pixel is glass or lumen (as in quality control)."""
DARK_H = 0.55
"""Haematoxylin OD, after gain, above which a pixel is called dark."""
_WHITE_RANGE = (225.0, 255.0)
_H_FROM_RG = (1.667, -0.118)
_E_FROM_RG = (-1.178, 1.093)
"""Rows of the inverse of [[0.65, 0.70], [0.07, 0.99]] (H and E in red and green OD)."""

CHANNELS = (
    "tissue",
    "h",
    "e",
    "h_fine",
    "h_small",
    "h_medium",
    "h_large",
    "blob_small",
    "blob_large",
    "edge",
    "axis_xx",
    "axis_yy",
    "axis_xy",
)
"""Cell sums that `cell_channels` returns, in order; see there for their meaning."""


def white_point(rgb: RGB) -> tuple[float, float, float]:
    """Return the 99.5th percentile per channel, held between 225 and 255 grey levels."""
    sample = rgb[::4, ::4].reshape(-1, 3)
    levels = np.clip(np.percentile(sample, 99.5, axis=0), *_WHITE_RANGE)
    return float(levels[0]), float(levels[1]), float(levels[2])


def optical_density(rgb: RGB, white: tuple[float, float, float]) -> F32:
    """Return -ln((I + 1) / (I0 + 1)) per channel, clipped at 0; shape (h, w, 3), float32."""
    levels = np.arange(256, dtype=np.float32)[:, None] + 1.0
    table = np.maximum(0.0, np.log(np.asarray(white, np.float32) + 1.0) - np.log(levels))
    return np.asarray(cv2.LUT(rgb, table.astype(np.float32)[None]), np.float32)


def stain_planes(od: F32) -> tuple[F32, F32]:
    """Return the haematoxylin and eosin planes of an OD image, each (h, w), unit OD."""
    red, green = np.ascontiguousarray(od[..., 0]), np.ascontiguousarray(od[..., 1])
    h = cv2.addWeighted(red, _H_FROM_RG[0], green, _H_FROM_RG[1], 0.0)
    e = cv2.addWeighted(red, _E_FROM_RG[0], green, _E_FROM_RG[1], 0.0)
    return np.maximum(h, 0.0), e


def blur(plane: F32, sigma_um: float, mpp: float = WORKING_MPP) -> F32:
    """Return a Gaussian blur with `sigma_um` in µm, reflecting at the border."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_um / mpp), np.float32)


def half(plane: F32) -> F32:
    """Return the plane at half the resolution (area average; odd last row or column dropped)."""
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    size = (width // 2, height // 2)
    return np.asarray(
        cv2.resize(plane[:height, :width], size, interpolation=cv2.INTER_AREA), np.float32
    )


@dataclass(frozen=True)
class CellGrid:
    """Means over map cells of one tile: `values` (rows, columns, len(CHANNELS)), float32."""

    values: F32


def cell_means(plane: F32, cell_px: int) -> F32:
    """Return means over whole cells of `cell_px`; the incomplete rest at the far edges is cut."""
    rows, cols = plane.shape[0] // cell_px, plane.shape[1] // cell_px
    cut = plane[: rows * cell_px, : cols * cell_px]
    return np.asarray(cv2.resize(cut, (cols, rows), interpolation=cv2.INTER_AREA), np.float32)
