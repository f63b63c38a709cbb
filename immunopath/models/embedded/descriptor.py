"""The raw patch descriptor behind the embedded embedder: 128 numbers, before standardising.

Everything is computed from haematoxylin and eosin OD planes at 1 µm per pixel (coarse structure at
2 µm), divided by robust quantiles of the patch's own tissue, so that a gain of either stain leaves
it unchanged; rotation by 90° and mirroring leave it unchanged up to resampling, because only sums
over directions enter.

Groups, in order: 16 quantiles of H, 8 of E; 12 band energies (6 of H, 6 of E); 16 + 16 shape-index
histograms at 2 and 4 µm; 8 + 8 coherence histograms at 2 and 6 µm; 10 + 10 rotation-invariant
uniform local binary patterns at 2 and 4 µm; 12 granulometry (6 openings, 6 closings); 8 moments of
colour ratios and cross-correlations; 4 spreads over 16 µm cells of band energy and darkness.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.texture import (
    F32,
    blur,
    half,
    half_density,
    stain_planes,
    tissue_mask,
    white_point,
)
from immunopath.models.protocols import RGB

GROUPS: tuple[tuple[str, int], ...] = (
    ("h_quantiles", 16),
    ("e_quantiles", 8),
    ("bands", 12),
    ("shape_2um", 16),
    ("shape_4um", 16),
    ("coherence_2um", 8),
    ("coherence_6um", 8),
    ("lbp_2um", 10),
    ("lbp_4um", 10),
    ("granulometry", 12),
    ("colour", 8),
    ("spread", 4),
)
SIZE = sum(size for _, size in GROUPS)
"""128."""
_MIN_OD = 0.08
"""A stain fainter than this is not stretched any further."""
_FINE_SIGMAS = (1.0, 1.6, 2.5)
"""µm; at 1 µm per pixel."""
_COARSE_SIGMAS = (4.0, 6.4, 10.0)
"""µm; at 2 µm per pixel, each from the one before."""
_FINE_OPENINGS = (1, 2, 3)
_COARSE_OPENINGS = (2, 3, 4)
"""Radii in pixels of 1 µm and of 2 µm."""
_EPS = 1e-4


@dataclass(frozen=True)
class _Scales:
    """A plane and its Gaussian blurs, at 1 µm (`fine`) and from 2.5 µm on at 2 µm (`coarse`)."""

    fine: tuple[F32, ...]
    coarse: tuple[F32, ...]


def describe(rgb: RGB) -> F32:
    """Return the descriptor of a patch at 0.5 µm per pixel, shape (SIZE,), float32.

    `rgb`: (h, w, 3), at least 32 pixels a side for the coarse bands to mean anything.
    """
    od = half_density(rgb, white_point(rgb))
    mask = tissue_mask(*od)
    h, e = stain_planes(od[0], od[1])
    inside = mask > 0.5
    h, h_quantiles = _scaled(h, inside, 16)
    e, e_quantiles = _scaled(e, inside, 8)
    scales = _scale_space(h)
    _, at1, at16, at25 = scales.fine
    parts = [
        h_quantiles,
        e_quantiles,
        np.concatenate([_bands(scales), _bands(_scale_space(e))]),
        _shape_index(at25, 16),
        _shape_index(scales.coarse[1], 16),
        _coherence(at1, 2.0, 8),
        _coherence(at16, 6.0, 8),
        _binary_patterns(at1, 2),
        _binary_patterns(at16, 4),
        _granulometry(at1),
        _colour(od, h, e, mask),
        _spread(scales),
    ]
    return np.concatenate(parts).astype(np.float32)


def _scaled(plane: F32, inside: npt.NDArray[np.bool_], count: int) -> tuple[F32, F32]:
    """Return the plane over the 90th percentile of its tissue, and quantiles of the result.

    Every fourth tissue pixel counts. Without tissue the plane stays and the quantiles are 0.
    """
    values = np.sort(plane[inside][::4])
    if values.size < count:
        return plane, np.zeros(count, np.float32)
    top = max(float(_quantiles(values, np.array([0.9]))[0]), _MIN_OD)
    at = (np.arange(count) + 0.5) / count
    return plane / np.float32(top), _quantiles(values, at) / np.float32(top)


def _quantiles(ordered: F32, shares: npt.NDArray[np.float64]) -> F32:
    """Return quantiles of sorted values, interpolated."""
    place = shares * (ordered.size - 1)
    return np.interp(place, np.arange(ordered.size), ordered).astype(np.float32)


def _scale_space(plane: F32) -> _Scales:
    """Return the plane under three fine and three coarse Gaussians."""
    fine = [plane, *(blur(plane, sigma) for sigma in _FINE_SIGMAS)]
    coarse, reached = [half(fine[-1])], _FINE_SIGMAS[-1]
    for sigma in _COARSE_SIGMAS:
        coarse.append(blur(coarse[-1], float(np.sqrt(sigma**2 - reached**2)) / 2))
        reached = sigma
    return _Scales(tuple(fine), tuple(coarse))


def _bands(scales: _Scales) -> F32:
    """Return logarithms of the six difference-of-Gaussian energies."""
    pairs = [*itertools.pairwise(scales.fine), *itertools.pairwise(scales.coarse)]
    energies = [float(cv2.norm(a, b)) ** 2 / a.size for a, b in pairs]
    return np.asarray(0.5 * np.log(np.array(energies) + _EPS), np.float32)


def _shape_index(smooth: F32, bins: int) -> F32:
    """Return the histogram of the shape index (cup … saddle … cap), weighted by curvedness."""
    xx, yy, xy = (
        np.asarray(cv2.Sobel(smooth, cv2.CV_32F, dx, dy)) for dx, dy in ((2, 0), (0, 2), (1, 1))
    )
    mean = (xx + yy) * 0.5
    gap = np.sqrt(np.square((xx - yy) * 0.5) + np.square(xy)) + _EPS
    # The gap is positive, so the angle runs from 0 (cap) to pi (cup).
    curved, angle = cv2.cartToPolar(mean, gap)
    return _histogram(np.float32(np.pi) - angle, 0.0, np.pi, bins, np.asarray(curved))


def _coherence(smooth: F32, window_um: float, bins: int) -> F32:
    """Return the histogram of structure-tensor coherence in a window, weighted by gradient."""
    gx = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0))
    gy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    xx, yy, xy = (blur(half(p), window_um / 2) for p in (gx * gx, gy * gy, gx * gy))
    total = xx + yy
    coherence = np.sqrt(np.square(xx - yy) + 4 * np.square(xy)) / (total + _EPS)
    return _histogram(coherence, 0.0, 1.0, bins, total)


def _histogram(values: F32, low: float, high: float, bins: int, weights: F32) -> F32:
    """Return the square root of the weighted shares per bin; values outside go to the ends."""
    place = ((values - low) * np.float32(bins / (high - low))).astype(np.int32)
    counts = np.bincount(np.clip(place, 0, bins - 1).ravel(), weights.ravel(), bins)
    return np.asarray(np.sqrt(counts / (counts.sum() + _EPS)), np.float32)


def _binary_patterns(smooth: F32, radius: int) -> F32:
    """Return the square-rooted histogram of uniform rotation-invariant patterns of 8 neighbours."""
    near = round(radius / np.sqrt(2))
    ring = ((0, radius), (near, near), (radius, 0), (near, -near))
    ring += tuple((-y, -x) for y, x in ring)
    height, width = smooth.shape
    if min(height, width) <= 2 * radius:
        return np.zeros(10, np.float32)
    core = smooth[radius : height - radius, radius : width - radius] + np.float32(0.01)
    bits = [
        smooth[radius + y : height - radius + y, radius + x : width - radius + x] > core
        for y, x in ring
    ]
    code = np.zeros(core.shape, np.uint8)
    for k, bit in enumerate(bits):
        code |= bit.view(np.uint8) << np.uint8(k)
    counts = np.bincount(cv2.LUT(code, _UNIFORM).ravel(), minlength=10)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)


def _uniform_table() -> npt.NDArray[np.uint8]:
    """Return for each 8-bit ring the number of ones (0 … 8), or 9 with more than two changes."""
    table = np.zeros(256, np.uint8)
    for code in range(256):
        ring = [(code >> k) & 1 for k in range(8)]
        changes = sum(ring[k] != ring[k - 1] for k in range(8))
        table[code] = sum(ring) if changes <= 2 else 9
    table.setflags(write=False)
    return table


_UNIFORM = _uniform_table()


def _granulometry(smooth: F32) -> F32:
    """Return how much of H survives openings and closings by discs of 1 … 8 µm."""
    sizes = ((smooth, _FINE_OPENINGS), (half(smooth), _COARSE_OPENINGS))
    planes = [(np.clip(p * 100, 0, 255).astype(np.uint8), radii) for p, radii in sizes]
    base = cv2.mean(planes[0][0])[0] + 1.0
    found = []
    for operation in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        for levels, radii in planes:
            for radius in radii:
                side = (2 * radius + 1, 2 * radius + 1)
                disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, side)
                passed = cv2.mean(cv2.morphologyEx(levels, operation, disc))[0]
                found.append(np.log((passed + 1.0) / base))
    return np.asarray(found, np.float32)


def _colour(od: tuple[F32, F32, F32], h: F32, e: F32, mask: F32) -> F32:
    """Return centred moments of log colour ratios (a gain only shifts them) and correlations."""
    keep = mask[::2, ::2] > 0.5
    if int(keep.sum()) < 16:
        return np.zeros(8, np.float32)
    h, e = h[::2, ::2], e[::2, ::2]
    red, *others = (np.log(plane[::2, ::2][keep] + np.float32(0.05)) for plane in od)
    found: list[float] = []
    for other in others:
        ratio = other - red
        centred = ratio - ratio.mean()
        spread = float(np.sqrt(np.mean(np.square(centred)))) + _EPS
        skew = float(np.mean(centred * centred * centred)) / spread**3
        found += [spread, skew, _correlation(ratio, h[keep])]
    found += [_correlation(h[keep], e[keep]), float(mask.mean())]
    return np.asarray(found, np.float32)


def _correlation(a: F32, b: F32) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b) + _EPS))


def _spread(scales: _Scales) -> F32:
    """Return the standard deviation over cells of 16 µm of darkness and three band energies."""
    plane, at1, _, at25 = scales.fine
    size = (max(1, plane.shape[1] // 16), max(1, plane.shape[0] // 16))
    half25, at4, at64, _ = scales.coarse
    planes = [plane, np.square(at1 - at25), np.square(half25 - at4), np.square(at4 - at64)]
    return np.asarray(
        [np.sqrt(cv2.resize(p, size, interpolation=cv2.INTER_AREA).clip(0)).std() for p in planes],
        np.float32,
    )
