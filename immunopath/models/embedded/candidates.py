"""Nucleus candidates: dark blobs in red optical density, with a colour gate.

Scale: the negative Laplacian of a Gaussian of 1.5 µm times sigma squared (in pixels), local maxima
within 1.5 µm above 0.06 (`docs/limitations.md` lists what the gate lets through).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from immunopath.models.embedded.density import F32, WORK_MPP, Workspace, blur
from immunopath.models.embedded.windows import I32, gaussian_means

SIGMA_UM = 1.5
SIGMA1_PX = 1.0 / WORK_MPP
PEAK_RADIUS_UM = 1.5
MIN_RESPONSE = 0.06
MIN_RED_TO_GREEN = 0.35
MIN_RED_TO_BLUE = 0.45
PIGMENT_OD = 1.6
PIGMENT_SPREAD = 0.15


@dataclass(frozen=True)
class Candidates:
    """Peaks that passed the gate, in reading order; pixels at the working resolution.

    x, y: int32, shape (n,); response: the scale-normalised Laplacian (float32); colour: red, green
    and blue density under sigma 1 µm, (3, n);
    n_pigment, n_red: how many peaks the gate dropped as black pigment and as eosin or red cells.
    """

    x: I32
    y: I32
    response: F32
    colour: F32
    n_pigment: int
    n_red: int

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True)
class BaseMaps:
    """Densities `od`, shape (3, h, w), and red under sigma 1 and 1.5 µm, (h, w); float32."""

    od: F32
    red1: F32
    red15: F32


def base_maps(od: F32, work: Workspace) -> BaseMaps:
    """Return densities `od`, shape (3, h, w), with the shared blurs of red."""
    shape = (od.shape[1], od.shape[2])
    red1 = blur(od[0], SIGMA1_PX, work.get("red1", shape))
    # Gaussians compose: 1.0 then sqrt(1.5² - 1.0²) µm is 1.5 µm, with a smaller kernel.
    rest = float(np.sqrt(SIGMA_UM**2 - 1.0)) / WORK_MPP
    return BaseMaps(od, red1, blur(red1, rest, work.get("red15", shape)))


def find_candidates(maps: BaseMaps, work: Workspace) -> Candidates:
    """Return the gated peaks of one field; an empty value when there is none."""
    shape = maps.red15.shape
    response = work.get("response", shape)
    cv2.Laplacian(
        maps.red15, cv2.CV_32F, dst=response, ksize=1, scale=-((SIGMA_UM / WORK_MPP) ** 2)
    )
    radius = round(PEAK_RADIUS_UM / WORK_MPP)
    y, x, height = _peaks(response, radius, work)
    red = maps.red1[y, x]
    green, blue = (gaussian_means(m, x, y, (SIGMA1_PX,))[0][0] for m in maps.od[1:])
    reddish = (red < MIN_RED_TO_GREEN * green) | (red < MIN_RED_TO_BLUE * blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    even = np.maximum(np.abs(red - green), np.abs(blue - green)) < PIGMENT_SPREAD * green
    pigment = (darkest > PIGMENT_OD) & even
    keep = ~(reddish | pigment)
    return Candidates(
        x[keep],
        y[keep],
        height[keep],
        np.stack([red, green, blue])[:, keep],
        int(pigment.sum()),
        int((reddish & ~pigment).sum()),
    )


def _peaks(response: F32, radius: int, work: Workspace) -> tuple[I32, I32, F32]:
    """Return y, x and height of maxima within `radius` pixels, in reading order."""
    top = work.get("top", response.shape)
    cv2.dilate(response, np.ones((3, 3), np.uint8), dst=top)
    flat = np.flatnonzero((response >= top) & (response > MIN_RESPONSE))
    if flat.size == 0:
        none = np.zeros(0, np.int32)
        return none, none, np.zeros(0, np.float32)
    y, x = np.divmod(flat, response.shape[1])
    padded = cv2.copyMakeBorder(
        response, radius, radius, radius, radius, cv2.BORDER_CONSTANT, value=-1e9
    )
    stride = padded.shape[1]
    offsets = np.array(
        [
            dy * stride + dx
            for dy in range(-radius, radius + 1)
            for dx in range(-radius, radius + 1)
            if 0 < dy * dy + dx * dx <= radius * radius
        ]
    )
    centre = (y + radius) * stride + x + radius
    around = padded.ravel()[centre[:, None] + offsets[None, :]]
    height = response.ravel()[flat]
    # On a plateau the first pixel in reading order wins, so that one blob is one candidate.
    earlier = offsets < 0
    wins = np.all(np.where(earlier, height[:, None] > around, height[:, None] >= around), axis=1)
    return y[wins].astype(np.int32), x[wins].astype(np.int32), height[wins]
