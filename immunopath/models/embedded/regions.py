"""The small region of each candidate: the pixels of its cell above a local midpoint.

A cell is what lies nearest to a candidate, within 6 µm. The region keeps the pixels whose red
density (0.5 µm blur) exceeds the midpoint between the candidate's own value and the lowest value
within 5 µm. All moments come from one matrix product over windows around the candidates.
"""

from dataclasses import dataclass

import numpy as np

from immunopath.models.embedded.candidates import Candidates
from immunopath.models.embedded.density import F32, WORK_MPP, Workspace
from immunopath.models.embedded.windows import around, groups, mirrored, windows

CELL_RADIUS_UM = 6.0
BASIN_RADIUS_UM = 5.0
PIXEL_UM2 = WORK_MPP**2
_RADIUS = round(CELL_RADIUS_UM / WORK_MPP)
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
    midpoint = ((red05[found.y, found.x] + lowest) * 0.5).astype(np.float32)
    sums = _sums(red05, midpoint, found, work)
    count = np.maximum(sums[0], 1)
    mean = sums[6] / count
    mx, my = sums[1] / count, sums[2] / count
    xx = sums[3] / count - mx * mx + _VARIANCE_OF_PIXEL
    yy = sums[4] / count - my * my + _VARIANCE_OF_PIXEL
    xy = sums[5] / count - mx * my
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    major, minor = middle + half, np.maximum(middle - half, _VARIANCE_OF_PIXEL)
    columns = (
        count * PIXEL_UM2,
        np.sqrt(minor / major),
        count / (4 * np.pi * np.sqrt(major * minor)),
        mean,
        np.sqrt(np.maximum(sums[7] / count - mean * mean, 0)),
        mean - lowest,
        np.hypot(mx, my) * WORK_MPP,
        found.x + mx,
        found.y + my,
    )
    return Regions(*(column.astype(np.float32) for column in columns))


def _sums(red05: F32, midpoint: F32, found: Candidates, work: Workspace) -> F32:
    """Return, per candidate, sums over its region: 1, dx, dy, dx², dy², dxdy, value, value²."""
    owners = windows(_owners(found, red05.shape, work), _RADIUS)
    values = windows(mirrored(red05, _RADIUS), _RADIUS)
    sums = np.empty((8, len(found)), np.float32)
    for part, x, y in groups(found.x, found.y):
        value = around(values, x, y)
        number = np.arange(part.start, part.start + len(x), dtype=np.float32)
        inside = around(owners, x, y) == number[:, None]
        inside &= value > midpoint[part, None]
        member = inside.astype(np.float32)
        sums[:6, part] = (member @ _MOMENTS).T
        np.multiply(value, member, out=value)
        sums[6, part] = value @ _ONES
        sums[7, part] = np.multiply(value, value, out=value) @ _ONES
    return sums


def _owners(found: Candidates, shape: tuple[int, ...], work: Workspace) -> F32:
    """Return the number of the nearest candidate within 6 µm of each pixel, -1 where none is.

    Padded by `_RADIUS` pixels of -1. All candidates write their discs at once, the farthest offset
    first, so that the nearest candidate has the last word.
    """
    height, width = shape[0] + 2 * _RADIUS, shape[1] + 2 * _RADIUS
    table = work.get("owner", (height, width))
    table.fill(-1)
    owner = table.reshape(-1)
    centre = (found.y.astype(np.int64) + _RADIUS) * width + found.x + _RADIUS
    number = np.arange(len(found), dtype=np.float32)
    for dy, dx in _DISC:
        owner[centre + (dy * width + dx)] = number
    for border in (slice(None, _RADIUS), slice(-_RADIUS, None)):
        table[border], table[:, border] = -1, -1
    return table


def _disc() -> tuple[tuple[int, int], ...]:
    """Return the offsets (dy, dx) in pixels within the cell radius, the farthest first."""
    every = range(-_RADIUS, _RADIUS + 1)
    inside = [(y, x) for y in every for x in every if y * y + x * x <= _RADIUS * _RADIUS]
    return tuple(sorted(inside, key=lambda o: (-(o[0] ** 2 + o[1] ** 2), o)))


def _moment_weights() -> F32:
    """Return 1, dx, dy, dx², dy², dxdy of each window pixel, shape (side², 6)."""
    dy, dx = (a.ravel() for a in np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1])
    return np.stack([dx * 0 + 1, dx, dy, dx * dx, dy * dy, dx * dy], axis=1).astype(np.float32)


_DISC = _disc()
_MOMENTS = _moment_weights()
_ONES = np.ones(len(_MOMENTS), np.float32)
