"""Block-wise texture and colour of H&E, without looking for any nucleus.

All filters run on optical density (OD, natural logarithm) at 1 µm per pixel. Two fixed stain planes
are formed from the red and green channels with the mean haematoxylin and eosin vectors of Ruifrok
and Johnston (2001). What is kept are means of such planes, and of filtered copies, over cells of
`CELL_UM` µm; blocks of 2 x 2 cells (25 µm, stepped by one cell) become features.

Imports OpenCV: import this module inside functions, never at package start.
"""

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.protocols import RGB

F32 = npt.NDArray[np.float32]

CELL_UM = 12.5
BLOCK_UM = 2 * CELL_UM
GLASS_OD = 0.25
"""Sum of the three ODs below which a pixel is glass or lumen (as in quality control)."""
_WHITE_RANGE = (225.0, 255.0)
_H_FROM_RG = (1.667, -0.118)
_E_FROM_RG = (-1.178, 1.093)
"""Rows of the inverse of [[0.65, 0.70], [0.07, 0.99]] (H and E in red and green OD)."""

CHANNELS = (
    "tissue",  # share of pixels that are not glass
    "h",  # haematoxylin OD
    "e",  # eosin OD
    "small",  # energy between Gaussians of 1 and 2 µm
    "medium",  # energy between 2 and 4 µm
    "large",  # energy between 3 and 6 µm
    "blob_small",  # positive part of the 1.5 - 2.4 µm difference
    "blob_large",  # positive part of the 3 - 6 µm difference
    "edge",  # gradient magnitude after 1 µm
    "axis_xx",
    "axis_yy",
    "axis_xy",  # structure tensor after 1 µm
)
"""What `cell_channels` returns, in order."""

FEATURES = (
    "h",
    "h_root",
    "e",
    "small_to_medium",
    "medium_to_large",
    "small",
    "large",
    "small_to_h",
    "blob_ratio",
    "blob_to_h",
    "edge_to_h",
    "coherence",
    "tissue",
)
"""What `block_features` returns, in order; energies and ratios as logarithms."""

_FLOOR = 1e-5


def white_point(rgb: RGB) -> tuple[float, float, float]:
    """Return the 99.5th percentile per channel, held between 225 and 255 grey levels."""
    sample = np.ascontiguousarray(rgb[::4, ::4])
    red, green, blue = (_level_at(sample, channel, 0.995) for channel in range(3))
    return red, green, blue


def _level_at(sample: RGB, channel: int, share: float) -> float:
    """Return a quantile of grey levels, interpolated as numpy does, from their counts."""
    counts = cv2.calcHist([sample], [channel], None, [256], [0, 256]).ravel().cumsum()
    place = share * (float(counts[-1]) - 1)
    low, high = np.searchsorted(counts, [np.floor(place), np.ceil(place)], side="right")
    return float(np.clip(low + (high - low) * (place % 1), *_WHITE_RANGE))


def half_density(rgb: RGB, white: tuple[float, float, float]) -> tuple[F32, F32, F32]:
    """Return red, green and blue OD at 1 µm per pixel, each (h // 2, w // 2), float32.

    -ln((I + 1) / (I0 + 1)) of each pixel at 0.5 µm, not below 0, then the mean of 2 x 2 pixels.
    """
    levels = np.log(np.arange(256, dtype=np.float32) + 1.0)
    red, green, blue = (
        half(_looked_up(plane, np.maximum(0.0, np.log(np.float32(top) + 1.0) - levels)))
        for plane, top in zip(cv2.split(rgb), white, strict=True)
    )
    return red, green, blue


def _looked_up(plane: cv2.typing.MatLike, table: F32) -> F32:
    return np.asarray(cv2.LUT(plane, table.astype(np.float32)), np.float32)


def stain_planes(red: F32, green: F32) -> tuple[F32, F32]:
    """Return the haematoxylin (>= 0) and eosin planes of red and green OD, in unit OD."""
    h = cv2.addWeighted(red, _H_FROM_RG[0], green, _H_FROM_RG[1], 0.0)
    e = cv2.addWeighted(red, _E_FROM_RG[0], green, _E_FROM_RG[1], 0.0)
    return np.maximum(h, np.float32(0)), np.asarray(e, np.float32)


def tissue_mask(red: F32, green: F32, blue: F32) -> F32:
    """Return 1 where the summed OD exceeds `GLASS_OD`, else 0; float32."""
    return (red + green + blue > GLASS_OD).astype(np.float32)


def blur(plane: F32, sigma_px: float) -> F32:
    """Return a Gaussian blur with `sigma_px` in the plane's own pixels, reflecting at borders."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px))


def half(plane: F32) -> F32:
    """Return the plane at half the resolution (area average), at least one pixel a side."""
    size = (max(1, plane.shape[1] // 2), max(1, plane.shape[0] // 2))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def cell_channels(rgb: RGB, rows: int, cols: int) -> F32:
    """Return the channel means over a grid of `rows` x `cols` cells on an image.

    `rgb`: (h, w, 3) at `WORKING_MPP`, cut into equal cells of about `CELL_UM`. Result:
    (rows, cols, len(CHANNELS)), float32; either count may be 0.
    """
    if rows == 0 or cols == 0:
        return np.zeros((rows, cols, len(CHANNELS)), np.float32)
    red, green, blue = half_density(rgb, white_point(rgb))
    h, e = stain_planes(red, green)
    planes = [tissue_mask(red, green, blue), h, e, *_filtered(h)]
    return np.stack(
        [cv2.resize(p, (cols, rows), interpolation=cv2.INTER_AREA) for p in planes], axis=2
    )


def _filtered(h: F32) -> list[F32]:
    """Return the nine filtered planes of `CHANNELS` for haematoxylin OD at 1 µm per pixel."""
    at1, at2, at3, at4 = (blur(h, sigma) for sigma in (1.0, 2.0, 3.0, 4.0))
    at6 = cv2.resize(blur(half(h), 3.0), h.shape[::-1], interpolation=cv2.INTER_LINEAR)
    gx = np.asarray(cv2.Sobel(at1, cv2.CV_32F, 1, 0, scale=0.25))
    gy = np.asarray(cv2.Sobel(at1, cv2.CV_32F, 0, 1, scale=0.25))
    large = at3 - at6
    return [
        np.square(at1 - at2),
        np.square(at2 - at4),
        np.square(large),
        np.maximum(blur(h, 1.5) - blur(h, 2.4), 0),
        np.maximum(large, 0),
        np.asarray(cv2.magnitude(gx, gy)),
        gx * gx,
        gy * gy,
        gx * gy,
    ]


def block_features(cells: F32, gain: float) -> F32:
    """Return features of the 2 x 2 blocks of cells (rows - 1, cols - 1, len(FEATURES)).

    `gain` multiplies haematoxylin OD and everything linear in it; ratios do not see it.
    """
    blocks = (cells[:-1, :-1] + cells[1:, :-1] + cells[:-1, 1:] + cells[1:, 1:]) / 4
    tissue, h, e, small, medium, large, spot, patch, edge, xx, yy, xy = np.moveaxis(blocks, 2, 0)
    covered = np.maximum(tissue, 0.05)
    dark = h / covered * gain
    log_dark = np.log(dark + 0.05)

    def energy(plane: F32) -> F32:
        root: F32 = 0.5 * np.log(plane + _FLOOR)
        return root

    log_gain = np.log(gain)
    columns = (
        dark,
        np.sqrt(dark),
        e / covered,
        energy(small) - energy(medium),
        energy(medium) - energy(large),
        energy(small) + log_gain,
        energy(large) + log_gain,
        energy(small) + log_gain - log_dark,
        np.log(spot + _FLOOR) - np.log(patch + _FLOOR),
        np.log(spot + _FLOOR) + log_gain - log_dark,
        np.log(edge + _FLOOR) + log_gain - log_dark,
        np.sqrt(np.square(xx - yy) + 4 * np.square(xy)) / (xx + yy + _FLOOR),
        tissue,
    )
    return np.stack(columns, axis=2).astype(np.float32)


def stain_gain(cells: list[F32]) -> float:
    """Return sqrt(0.6 / q) held to [0.4, 2.5] for all cells of a case; 1 without tissue.

    q: 90th percentile of the haematoxylin OD of cells with at least 20 % tissue. Half of the
    way (in logarithm) only: a full correction would make every dense tumour look lymphoid.
    """
    table = np.concatenate([c.reshape(-1, c.shape[-1]) for c in cells]) if cells else None
    if table is None or not (table[:, 0] > 0.2).any():
        return 1.0
    covered = table[table[:, 0] > 0.2]
    q = float(np.percentile(covered[:, 1] / covered[:, 0], 90))
    return float(np.clip(np.sqrt(0.6 / max(q, 1e-3)), 0.4, 2.5))
