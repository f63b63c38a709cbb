"""Features of nucleus candidates, read at points of a few shared blurs.

Derivatives (Laplacian, Hessian, gradient) are finite differences read at the candidates only, and
blurs of 2 µm and more live at half size or less, so that one field needs a dozen cheap blurs
instead of thirty maps. Lengths are µm, densities natural-log optical density before the gain.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from immunopath.models.embedded.candidates import BaseMaps, Candidates
from immunopath.models.embedded.density import F32, WORK_MPP, Workspace, blur
from immunopath.models.embedded.regions import BASIN_RADIUS_UM, Regions, measure_regions
from immunopath.models.embedded.windows import gaussian_means

NEIGHBOUR_CAP_UM = 20.0
"""Distances to neighbours are cut here: a halo of 32 µm then holds all that counts."""

_ONE_AND_TWO_UM = (1.0 / WORK_MPP, 2.0 / WORK_MPP)

NAMES = (
    "red05", "red1", "red2", "red4", "red8", "green1", "green2", "green4", "blue1", "blue2",
    "blue4", "rg1", "rg2", "bg1", "bg2", "log1", "log15", "log2", "log3", "log4",
    "strong15", "weak15", "ratio15", "strong2", "weak2", "ratio2", "grad1", "grad2",
    "std1", "std2", "fine1", "fine2", "near1", "near3", "near5", "crowd10", "crowd20",
    "area", "axis_ratio", "compactness", "mean", "spread", "contrast", "offset",
)  # fmt: skip
"""Column names, in order; a constants file must carry exactly these."""

_UNSCALED = frozenset(
    {"rg1", "rg2", "bg1", "bg2", "ratio15", "ratio2", "near1", "near3", "near5", "crowd10",
     "crowd20", "area", "axis_ratio", "compactness", "offset"}
)  # fmt: skip
GAIN_POWER = np.array([0.0 if name in _UNSCALED else 1.0 for name in NAMES], np.float32)
"""1 where a feature is proportional to optical density, 0 where the gain cancels."""


@dataclass(frozen=True)
class Measured:
    """Features and what later stages reuse.

    values: (n, len(NAMES)) float32 before the gain; log3: the 3 µm negative Laplacian at half
    size (for merging); regions: see `Regions`.
    """

    values: F32
    regions: Regions
    log3: F32
    red_half: F32
    """Red density, sigma 1 µm, every second pixel."""


def measure(maps: BaseMaps, found: Candidates, work: Workspace) -> Measured:
    """Return the features of `found` on the densities and blurs of `maps`."""
    red, shape = maps.od[0], maps.red1.shape
    red05 = blur(red, 0.5 / WORK_MPP, work.get("red05", shape))
    red_half = np.ascontiguousarray(maps.red1[::2, ::2])
    # Gaussians compose: from sigma 1 µm at half size (1 µm per pixel) to 2 µm.
    red2 = blur(red_half, float(np.sqrt(3.0)))
    red3 = blur(red2, float(np.sqrt(5.0)))
    red4 = blur(red3, float(np.sqrt(7.0)))
    red8 = blur(np.ascontiguousarray(red4[::2, ::2]), float(np.sqrt(48.0)) / 2)
    (green2, green4), (blue2, blue4) = (_coarse(plane) for plane in maps.od[1:])
    log3: F32 = _laplacian(red3, 3.0)
    log4 = _laplacian(red4, 4.0)
    p1, p2, p4 = (
        _Reader(found, step, m.shape) for step, m in ((1, maps.red1), (2, red2), (4, red8))
    )
    r1, g1, b1 = found.colour
    r2, g2, b2 = (p2.read(m) for m in (red2, green2, blue2))
    columns = [p1.read(red05), r1, r2, p2.read(red4), p4.read(red8)]
    columns += [g1, g2, p4.read(green4), b1, b2, p4.read(blue4)]
    columns += [(a + 0.05) / (b + 0.05) for a, b in ((r1, g1), (r2, g2), (b1, g1), (b2, g2))]
    j1, j15, j2 = p1.jet(maps.red1, 2.0), p1.jet(maps.red15, 3.0), p2.jet(red2, 2.0)
    columns += [j1.log, j15.log, j2.log, p2.read(log3), p2.read(log4)]
    columns += [*j15.eigenvalues, *j2.eigenvalues, j1.gradient, j2.gradient]
    columns += _spread(red, found)
    columns += _fine_energy(red, found, work)
    columns += _crowding(found, shape)
    regions = measure_regions(red05, _lowest(red_half, p2), found, work)
    columns += [regions.area, regions.axis_ratio, regions.compactness, regions.mean]
    columns += [regions.spread, regions.contrast, regions.offset]
    values = np.stack(columns, axis=1).astype(np.float32)
    return Measured(values, regions, log3, red_half)


def _f32(values: npt.NDArray[np.floating[Any]]) -> F32:
    return values.astype(np.float32, copy=False)


def _coarse(plane: F32) -> tuple[F32, F32]:
    """Return a density under 2 µm at half size and under 4 µm at quarter size."""
    half: Any = cv2.pyrDown(plane)
    # The pyramid's kernel has the variance of 1 px, a quarter of that at half size.
    at2 = blur(half, float(np.sqrt(2.0**2 - 0.25)))
    return at2, blur(np.ascontiguousarray(at2[::2, ::2]), float(np.sqrt(12.0)) / 2)


def _laplacian(image: F32, sigma: float) -> F32:
    """Return the scale-normalised negative Laplacian of a blurred map."""
    out: Any = cv2.Laplacian(image, cv2.CV_32F, ksize=1, scale=-(sigma**2))
    response: F32 = out
    return response


@dataclass(frozen=True)
class _Jet:
    """Scale-normalised derivatives at the points."""

    log: F32
    gradient: F32
    eigenvalues: tuple[F32, F32, F32]
    """Curvature of the darker-than-around kind: stronger, weaker, and weaker over stronger."""


class _Reader:
    """Reads maps that keep every `step`-th pixel at the candidates, between pixels bilinearly.

    Pixel indices and weights are worked out once for all maps of one shape; borders repeat.
    """

    def __init__(self, found: Candidates, step: int, shape: tuple[int, ...]) -> None:
        self._step = step
        reach = 1 if step == 1 else 2
        height, width = shape
        around = np.arange(-1, reach + 1, dtype=np.int32)
        row = np.clip(found.y // step + around[:, None], 0, height - 1) * width
        column = np.clip(found.x // step + around[:, None], 0, width - 1)
        self._index = row[:, None, :] + column[None, :, :]
        self._fx = (found.x % step).astype(np.float32) / step
        self._fy = (found.y % step).astype(np.float32) / step

    def read(self, image: F32) -> F32:
        """Return the values at the points."""
        if self._step == 1:
            return _f32(image.ravel()[self._index[1, 1]])
        values: F32 = self._between(image.ravel()[self._index[1:3, 1:3]])[0, 0]
        return values

    def around(self, image: F32) -> F32:
        """Return the values at the points displaced by -1, 0, 1 map pixels, shape (3, 3, n)."""
        values = image.ravel()[self._index]
        return _f32(values if self._step == 1 else self._between(values))

    def _between(self, values: F32) -> F32:
        across = values[:, :-1] * (1 - self._fx) + values[:, 1:] * self._fx
        return _f32(across[:-1] * (1 - self._fy) + across[1:] * self._fy)

    def jet(self, image: F32, sigma: float) -> _Jet:
        """Return derivatives of a blurred map; `sigma` is its blur in the map's own pixels."""
        v = self.around(image)
        s2 = sigma * sigma
        xx = s2 * (2 * v[1, 1] - v[1, 2] - v[1, 0])
        yy = s2 * (2 * v[1, 1] - v[2, 1] - v[0, 1])
        xy = s2 * (v[0, 2] + v[2, 0] - v[2, 2] - v[0, 0]) / 4
        middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
        strong, weak = middle + half, middle - half
        gradient = sigma * np.hypot(v[1, 2] - v[1, 0], v[2, 1] - v[0, 1]) / 2
        ratio = np.clip(weak / np.maximum(strong, 1e-3), -1, 1)
        return _Jet(_f32(xx + yy), _f32(gradient), (_f32(strong), _f32(weak), _f32(ratio)))


def _spread(red: F32, found: Candidates) -> list[F32]:
    """Return local standard deviations of red density at 1 and 2 µm."""
    mean, square = gaussian_means(red, found.x, found.y, _ONE_AND_TWO_UM)
    return list(np.sqrt(np.maximum(square - mean * mean, 0)))


def _fine_energy(red: F32, found: Candidates, work: Workspace) -> list[F32]:
    """Return root mean square pixel Laplacians around the points, at 1 and 2 µm.

    They tell crisp chromatin from smooth. Without them NuCLS does as well, but crowded benign
    acini read 0.5 instead of 0.1 lymphocytes: they stay.
    """
    fine = work.get("fine", red.shape)
    cv2.Laplacian(red, cv2.CV_32F, dst=fine, ksize=1)
    _, squares = gaussian_means(fine, found.x, found.y, _ONE_AND_TWO_UM)
    return list(np.sqrt(squares))


def _lowest(red1_half: F32, reader: _Reader) -> F32:
    """Return the lowest blurred red density within about 5 µm of each candidate."""
    size = 2 * round(BASIN_RADIUS_UM / (2 * WORK_MPP)) + 1
    eroded: Any = cv2.erode(red1_half, np.ones((size, size), np.uint8))
    lowest: F32 = reader.read(eroded)
    return lowest


def _crowding(found: Candidates, shape: tuple[int, ...]) -> list[F32]:
    """Return distances to the 1st, 3rd and 5th neighbour and Gaussian counts at 10 and 20 µm."""
    n = len(found)
    points = np.stack([found.x, found.y], axis=1).astype(np.float32) * WORK_MPP
    distance = np.full((n, 6), NEIGHBOUR_CAP_UM, np.float32)
    if n:
        tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
        got, _ = tree.query(points, k=6, distance_upper_bound=NEIGHBOUR_CAP_UM)
        distance = np.minimum(got, NEIGHBOUR_CAP_UM).astype(np.float32)
    # One pixel of the counting grid is 2 µm; borders mirror, so a field's edge is not a void.
    grid_shape = (shape[0] // 4 + 1, shape[1] // 4 + 1)
    index = (found.y // 4) * grid_shape[1] + found.x // 4
    counts = np.bincount(index, minlength=grid_shape[0] * grid_shape[1])
    grid = counts.reshape(grid_shape).astype(np.float32)
    near = blur(grid, 2.5)
    wide = blur(near, float(np.sqrt(5.0**2 - 2.5**2)))
    own = near.ravel()[index] * (2 * np.pi * 2.5**2), wide.ravel()[index] * (2 * np.pi * 5.0**2)
    return [distance[:, 1], distance[:, 3], distance[:, 5], own[0], own[1]]
