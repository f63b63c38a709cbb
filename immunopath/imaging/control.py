"""The reduced image on which quality control measures everything (morphometry.md 3.11)."""

from dataclasses import dataclass

import cv2
import numpy as np

from immunopath.imaging.arrays import RGB, FloatMap

CONTROL_PX = 256
"""The longer side of the control image; the limits were set at this size."""
TISSUE_OD = 0.25
"""A pixel is tissue when the sum of its three optical densities (natural log) exceeds this."""
DETAIL_SIGMA_PX = 2.0
_SUBSAMPLE_FROM_PX = 160
"""From this shorter side on, every second pixel of every second row is enough for statistics."""
_MIN_WHITE = 200


@dataclass(frozen=True)
class ControlImage:
    """Optical densities of a field, reduced, and of its tissue pixels.

    `dark_share` and `tissue_share` are shares of the field in [0, 1]; `shape` is that of the
    control image in pixels. The arrays are 1-D over (subsampled) tissue pixels: natural-log optical
    densities `red`, `green`, `blue`, their sum `total`, and the high-pass parts (value minus its
    2 px Gaussian) of the sum and of red minus blue.
    """

    shape: tuple[int, int]
    dark_share: float
    tissue_share: float
    red: FloatMap
    green: FloatMap
    blue: FloatMap
    total: FloatMap
    fine_total: FloatMap
    fine_red_blue: FloatMap
    clipped_share: float


def optical_density(smooth: RGB) -> list[FloatMap]:
    """Return the optical density of each channel against its own 99th percentile (>= 200)."""
    levels = np.arange(256, dtype=np.float32)
    maps = []
    for channel in cv2.split(smooth):
        counts = cv2.calcHist([channel], [0], None, [256], [0, 256]).ravel().cumsum()
        white = max(_MIN_WHITE, int(np.searchsorted(counts, 0.99 * counts[-1])))
        table = np.maximum(np.log((white + 1) / (levels + 1)), 0).astype(np.float32)
        maps.append(np.asarray(cv2.LUT(channel, table), dtype=np.float32))
    return maps


def _reduced(rgb: RGB) -> RGB:
    height, width = rgb.shape[:2]
    scale = CONTROL_PX / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _highest(rgb: RGB) -> RGB:
    """Return the highest channel of each pixel, (h, w): OpenCV is ten times faster than numpy."""
    red, green, blue = cv2.split(np.ascontiguousarray(rgb))
    return np.asarray(cv2.max(cv2.max(red, green), blue), dtype=np.uint8)


def _clipped_share(rgb: RGB) -> float:
    """Return the share of source pixels at the end of the scale in a coloured channel.

    White glass is not clipped colour: a channel at 255 counts only where another is below 225.
    """
    step = max(1, max(rgb.shape[:2]) // CONTROL_PX)
    red, green, blue = cv2.split(np.ascontiguousarray(rgb[::step, ::step]))
    low = cv2.min(cv2.min(red, green), blue)
    high = cv2.max(cv2.max(red, green), blue)
    clipped = (low == 0) | ((high == 255) & (low < 225))
    return float(clipped.mean())


def control_image(rgb: RGB) -> ControlImage:
    """Reduce an image of shape (h, w, 3) to at most 256 px and measure its optical densities."""
    smooth = cv2.blur(np.ascontiguousarray(_reduced(rgb)), (3, 3))
    step = 2 if min(smooth.shape[:2]) >= _SUBSAMPLE_FROM_PX else 1
    brightest = _highest(np.asarray(smooth[::step, ::step], dtype=np.uint8))
    red, green, blue = optical_density(np.asarray(smooth, dtype=np.uint8))
    total = red + green + blue
    red_blue = red - blue
    fine_total = total - cv2.GaussianBlur(total, (0, 0), DETAIL_SIGMA_PX)
    fine_red_blue = red_blue - cv2.GaussianBlur(red_blue, (0, 0), DETAIL_SIGMA_PX)
    tissue = total[::step, ::step] > TISSUE_OD

    def kept(values: FloatMap) -> FloatMap:
        return values[::step, ::step][tissue]

    return ControlImage(
        shape=(int(smooth.shape[0]), int(smooth.shape[1])),
        dark_share=float((brightest < 50).mean()),
        tissue_share=float(tissue.mean()),
        red=kept(red),
        green=kept(green),
        blue=kept(blue),
        total=kept(total),
        fine_total=kept(fine_total),
        fine_red_blue=kept(fine_red_blue),
        clipped_share=_clipped_share(rgb),
    )
