"""The raw patch descriptor behind the embedded embedder: 128 numbers, before standardising.

Everything is computed from haematoxylin and eosin OD planes at 1 µm per pixel, divided by robust
quantiles of the patch's own tissue, so that a gain of either stain leaves it unchanged; rotation
by 90° and mirroring leave it unchanged up to resampling, because only sums over directions enter.

Groups, in order: 16 quantiles of H, 8 of E; 12 band energies (6 of H, 6 of E); 16 + 16 shape-index
histograms at 2 and 4 µm; 8 + 8 coherence histograms at 2 and 6 µm; 10 + 10 rotation-invariant
uniform local binary patterns at 2 and 4 µm; 12 granulometry (6 openings, 6 closings); 8 moments of
colour ratios and cross-correlations; 4 spreads over 16 µm cells of band energy and darkness.
"""

import itertools

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.texture import (
    F32,
    blur,
    half,
    optical_density,
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
_BAND_SIGMAS = (1.0, 1.6, 2.5, 4.0, 6.4, 10.0)
_OPENINGS = (1, 2, 3, 4, 5, 7)
_EPS = 1e-4


def describe(rgb: RGB) -> F32:
    """Return the descriptor of a patch at 0.5 µm per pixel, shape (SIZE,), float32.

    `rgb`: (h, w, 3), at least 32 pixels a side for the coarse bands to mean anything.
    """
    od = half(optical_density(rgb, white_point(rgb)))
    mask = tissue_mask(od)
    h_raw, e_raw = stain_planes(od)
    h, e = _scaled(h_raw, mask), _scaled(e_raw, mask)
    h_blurs, e_blurs = _scale_space(h), _scale_space(e)
    parts = [
        _quantiles(h, mask, 16),
        _quantiles(e, mask, 8),
        np.concatenate([_bands(h, h_blurs), _bands(e, e_blurs)]),
        _shape_index(h_blurs[2], 16),
        _shape_index(h_blurs[3], 16),
        _coherence(h_blurs[0], 2.0, 8),
        _coherence(h_blurs[1], 6.0, 8),
        _binary_patterns(h_blurs[0], 2),
        _binary_patterns(h_blurs[1], 4),
        _granulometry(h_blurs[0]),
        _colour(od, h, e, mask),
        _spread(h, h_blurs),
    ]
    return np.concatenate(parts).astype(np.float32)


def _scaled(plane: F32, mask: F32) -> F32:
    """Return the plane over the 90th percentile of its tissue pixels."""
    inside = plane[mask > 0.5]
    top = float(np.percentile(inside[::4], 90)) if inside.size > 8 else 1.0
    return plane / np.float32(max(top, _MIN_OD))


def _scale_space(plane: F32) -> list[F32]:
    """Return six Gaussian blurs; the two coarsest are made at half size."""
    size, small = (plane.shape[1], plane.shape[0]), half(plane)
    fine = [blur(plane, sigma) for sigma in _BAND_SIGMAS[:4]]
    coarse = [
        np.asarray(cv2.resize(blur(small, s / 2), size), np.float32) for s in _BAND_SIGMAS[4:]
    ]
    return fine + coarse


def _quantiles(plane: F32, mask: F32, count: int) -> F32:
    """Return evenly spaced quantiles of the tissue pixels."""
    inside = plane[mask > 0.5]
    if inside.size < count:
        return np.zeros(count, np.float32)
    at = (np.arange(count) + 0.5) / count
    return np.asarray(np.quantile(inside[::4], at), np.float32)


def _bands(plane: F32, blurs: list[F32]) -> F32:
    """Return logarithms of the six difference-of-Gaussian energies."""
    levels = [plane, *blurs]
    pairs = itertools.pairwise(levels)
    energies = [float(cv2.norm(a, b)) ** 2 / plane.size for a, b in pairs]
    return np.asarray(0.5 * np.log(np.array(energies) + _EPS), np.float32)


def _shape_index(smooth: F32, bins: int) -> F32:
    """Return the histogram of the shape index (cup … saddle … cap), weighted by curvedness."""
    xx = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 2, 0))
    yy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 2))
    xy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 1))
    mean = (xx + yy) * 0.5
    gap = np.sqrt(np.square((xx - yy) * 0.5) + np.square(xy)) + _EPS
    curved, angle = cv2.cartToPolar(gap, mean)
    signed = np.where(angle > np.pi, angle - np.float32(2 * np.pi), angle)
    return _histogram(signed, -np.pi / 2, np.pi / 2, bins, np.asarray(curved))


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
    """Return how much of H survives openings and closings by discs of 1 … 7 µm."""
    levels = np.clip(smooth * 100, 0, 255).astype(np.uint8)
    base = float(levels.mean()) + 1.0
    found = []
    for operation in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        for radius in _OPENINGS:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
            passed = cv2.mean(cv2.morphologyEx(levels, operation, disc))[0]
            found.append(np.log((passed + 1.0) / base))
    return np.asarray(found, np.float32)


def _colour(od: F32, h: F32, e: F32, mask: F32) -> F32:
    """Return centred moments of log colour ratios (a gain only shifts them) and correlations."""
    keep = mask[::2, ::2] > 0.5
    if int(keep.sum()) < 16:
        return np.zeros(8, np.float32)
    h, e = h[::2, ::2], e[::2, ::2]
    logs = np.log(od[::2, ::2][keep] + np.float32(0.05))
    found: list[float] = []
    for other in (1, 2):
        ratio = logs[:, other] - logs[:, 0]
        centred = ratio - ratio.mean()
        spread = float(np.sqrt(np.mean(np.square(centred)))) + _EPS
        skew = float(np.mean(centred * centred * centred)) / spread**3
        found += [spread, skew, _correlation(ratio, h[keep])]
    found += [_correlation(h[keep], e[keep]), float(mask.mean())]
    return np.asarray(found, np.float32)


def _correlation(a: F32, b: F32) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b) + _EPS))


def _spread(h: F32, blurs: list[F32]) -> F32:
    """Return the standard deviation over cells of 16 µm of darkness and three band energies."""
    size = (max(1, h.shape[1] // 16), max(1, h.shape[0] // 16))
    planes = [h, *(np.square(blurs[k] - blurs[k + 1]) for k in (0, 2, 3))]
    return np.asarray(
        [np.sqrt(cv2.resize(p, size, interpolation=cv2.INTER_AREA).clip(0)).std() for p in planes],
        np.float32,
    )
