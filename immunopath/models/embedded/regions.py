"""The small region of each candidate: the pixels of its cell above a local midpoint.

A cell is what lies nearest to a candidate, within 6 µm. The region keeps the pixels whose red
density (0.5 µm blur) exceeds the midpoint between the candidate's own value and the lowest value
within 5 µm. All moments come from one pass of counting over labels, without a loop.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from immunopath.models.embedded.candidates import I32, Candidates
from immunopath.models.embedded.density import F32, WORK_MPP, Workspace

CELL_RADIUS_UM = 6.0
BASIN_RADIUS_UM = 5.0
PIXEL_UM2 = WORK_MPP**2
_VARIANCE_OF_PIXEL = 1 / 12
"""Second moment of a unit square: keeps a one-pixel region from having no extent."""


@dataclass(frozen=True)
class Regions:
    """One value per candidate, float32, shape (n,).

    area (µm²); axis_ratio (minor over major, 0 to 1); compactness (area over that of the ellipse
    with the same second moments, 1 for an ellipse); mean, spread (standard deviation) and contrast
    (mean minus lowest value within 5 µm) of red density; offset of the centroid from the peak (µm);
    x, y: the centroid in pixels.
    """

    area: F32
    axis_ratio: F32
    compactness: F32
    mean: F32
    spread: F32
    contrast: F32
    offset: F32
    x: F32
    y: F32


def measure_regions(red05: F32, lowest: F32, found: Candidates, work: Workspace) -> Regions:
    """Return the regions of `found` on `red05` (h, w); `lowest` has one value per candidate."""
    n = len(found)
    if n == 0:
        return Regions(*(np.zeros(0, np.float32) for _ in range(9)))
    seed = red05[found.y, found.x]
    midpoint = ((seed + lowest) * 0.5).astype(np.float32)
    flat, owner = _members(red05, midpoint, found)
    value = red05.ravel()[flat]
    row, column = np.divmod(flat, red05.shape[1])
    dy = (row - found.y[owner]).astype(np.float32)
    dx = (column - found.x[owner]).astype(np.float32)

    def total(weight: F32 | None = None) -> F32:
        return np.bincount(owner, weights=weight, minlength=n).astype(np.float32)

    count = np.maximum(total(), 1)
    mean = total(value) / count
    mx, my = total(dx) / count, total(dy) / count
    xx = total(dx * dx) / count - mx * mx + _VARIANCE_OF_PIXEL
    yy = total(dy * dy) / count - my * my + _VARIANCE_OF_PIXEL
    xy = total(dx * dy) / count - mx * my
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    major, minor = middle + half, np.maximum(middle - half, _VARIANCE_OF_PIXEL)
    spread = np.sqrt(np.maximum(total(value * value) / count - mean * mean, 0))
    columns = (
        count * PIXEL_UM2,
        np.sqrt(minor / major),
        count / (4 * np.pi * np.sqrt(major * minor)),
        mean,
        spread,
        mean - lowest,
        np.hypot(mx, my) * WORK_MPP,
        found.x + mx,
        found.y + my,
    )
    return Regions(*(column.astype(np.float32) for column in columns))


def _members(red05: F32, midpoint: F32, found: Candidates) -> tuple[I32, I32]:
    """Return flat pixel indices in any region, and the index of the candidate owning each."""
    seeds = np.ones(red05.shape, np.uint8)
    seeds[found.y, found.x] = 0
    distance, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.empty(len(found) + 1, np.int32)
    number[labels[found.y, found.x]] = np.arange(len(found), dtype=np.int32)
    floor = np.empty(len(found) + 1, np.float32)
    floor[labels[found.y, found.x]] = midpoint
    inside = (red05 > floor[labels]) & (distance <= CELL_RADIUS_UM / WORK_MPP)
    flat = np.flatnonzero(inside).astype(np.int32)
    return flat, number[labels.ravel()[flat]]
