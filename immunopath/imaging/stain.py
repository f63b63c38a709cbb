"""Stain normalisation of one slide: fitted on its pooled tissue pixels, applied tile by tile.

Fitting per slide and not per tile keeps the differences between tiles, which are the signal: a tile
full of lymphocytes must stay bluer than its neighbour. Glass is never touched.

Reinhard and others 2001 match mean and spread in L*a*b*; the target is the one in wide use
(attributed to Gertych and others 2015): b* spread 6.67. Macenko and others 2009 find the two stain
vectors as extreme directions in optical density; the target is that of the authors' code.
"""

from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.imaging.arrays import RGB

MIN_PIXELS = 2_000
"""Fewer tissue pixels than this say nothing about a slide's stain."""
REINHARD_MEAN = (148.60, 169.30, 105.97)
REINHARD_STD = (41.56, 9.01, 6.67)
"""L*, a*, b* on the 8-bit scale of OpenCV (L* x 255/100, a* and b* + 128)."""
MACENKO_STAINS = ((0.5626, 0.7201, 0.4062), (0.2159, 0.8012, 0.5581))
MACENKO_STRENGTH = (1.9705, 1.0308)
MACENKO_GLASS = 240.0
_OD_FLOOR = 0.15
_ANGLE_PERCENTILES = (1.0, 99.0)
_MIN_ANGLE_DEG = 5.0
_STD_FLOOR = 0.5

F64 = npt.NDArray[np.float64]


class StainMethod(StrEnum):
    """What is done to the colours of a slide."""

    none = "none"
    reinhard = "reinhard"
    macenko = "macenko"


class StainFit(Frozen):
    """What was measured on a slide, enough to apply the method again.

    white: glass of the slide; threshold: sum of optical densities up to which a pixel is glass;
    mean, std: L*a*b* of its tissue (Reinhard); stains, strength: haematoxylin and eosin vectors
    and their 99th percentiles (Macenko); failed: why the method does nothing here, empty when it
    does its work.
    """

    method: StainMethod
    white: tuple[float, float, float]
    threshold: float = Field(gt=0)
    n_pixels: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    stains: tuple[tuple[float, ...], ...] = ()
    strength: tuple[float, ...] = ()
    failed: str = ""

    @property
    def applied(self) -> str:
        """Return the method that tiles really went through."""
        return StainMethod.none.value if self.failed else self.method.value


def fit_stain(
    method: StainMethod, pixels: RGB, white: tuple[float, float, float], threshold: float
) -> StainFit:
    """Fit a method to pixels (n, 3) of one slide, glass among them; never raises.

    Too little tissue, one stain only or a singular fit give a `StainFit` that says so and leaves
    every tile as it is: normalised and other tiles are never mixed in one slide.
    """
    fit = StainFit(method=method, white=white, threshold=threshold)
    if method is StainMethod.none:
        return fit
    tissue = pixels[_total_density(pixels, white) > threshold]
    fit = fit.model_copy(update={"n_pixels": int(tissue.shape[0])})
    if tissue.shape[0] < MIN_PIXELS:
        why = f"{tissue.shape[0]} tissue pixels are too few, {MIN_PIXELS} needed"
        return fit.model_copy(update={"failed": why})
    return _fit_reinhard(fit, tissue) if method is StainMethod.reinhard else _macenko(fit, tissue)


def apply_stain(rgb: RGB, fit: StainFit) -> RGB:
    """Return the tile (h, w, 3) with its tissue normalised; glass keeps its very pixels.

    The change sets in between one and two times the glass threshold, so no edge is drawn.
    """
    if fit.failed or fit.method is StainMethod.none:
        return rgb
    share = np.clip(_total_density(rgb, fit.white) / fit.threshold - 1, 0, 1)[..., None]
    change = _reinhard if fit.method is StainMethod.reinhard else _remixed
    mixed = share * change(rgb, fit) + (1 - share) * rgb
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _total_density(rgb: RGB, white: tuple[float, float, float]) -> F64:
    total = np.zeros(rgb.shape[:-1])
    for channel, table in enumerate(_density_tables(white)):
        total += table[rgb[..., channel]]
    return total


def _density_tables(white: tuple[float, float, float]) -> list[F64]:
    levels = np.arange(256, dtype=np.float64)
    return [np.maximum(np.log((glass + 1) / (levels + 1)), 0.0) for glass in white]


def _lab(rgb: RGB) -> F64:
    """Return L*a*b* on the 8-bit scale without its rounding, same shape."""
    rows = rgb.reshape(-1, 1, 3).astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(rows, cv2.COLOR_RGB2LAB), np.float64).reshape(rgb.shape)
    return lab * (255 / 100, 1, 1) + (0, 128, 128)


def _rgb(lab: F64) -> F64:
    rows = ((lab - (0, 128, 128)) / (255 / 100, 1, 1)).reshape(-1, 1, 3).astype(np.float32)
    rgb = np.asarray(cv2.cvtColor(rows, cv2.COLOR_LAB2RGB), np.float64).reshape(lab.shape)
    return np.clip(rgb, 0, 1) * 255


def _fit_reinhard(fit: StainFit, tissue: RGB) -> StainFit:
    lab = _lab(tissue)
    std = lab.std(axis=0)
    if float(std.min()) < _STD_FLOOR:
        return fit.model_copy(update={"failed": "the tissue has one colour only"})
    update = {"mean": tuple(map(float, lab.mean(axis=0))), "std": tuple(map(float, std))}
    return fit.model_copy(update=update)


def _reinhard(rgb: RGB, fit: StainFit) -> F64:
    scaled = (_lab(rgb) - fit.mean) / fit.std * REINHARD_STD + REINHARD_MEAN
    scaled[..., 0] = np.clip(scaled[..., 0], 0, 255)
    return _rgb(scaled)


def _densities(rgb: RGB, white: tuple[float, float, float]) -> F64:
    tables = _density_tables(white)
    return np.stack([tables[c][rgb[..., c]] for c in range(3)], axis=-1)


def _macenko(fit: StainFit, tissue: RGB) -> StainFit:
    density = _densities(tissue, fit.white)
    density = density[(density > _OD_FLOOR).all(axis=1)]
    if density.shape[0] < MIN_PIXELS:
        why = f"{density.shape[0]} pixels are stained in all channels, {MIN_PIXELS} needed"
        return fit.model_copy(update={"failed": why})
    _, vectors = np.linalg.eigh(np.cov(density.T))
    plane = vectors[:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    angle = np.arctan2(*(density @ plane).T[::-1])
    low, high = np.percentile(angle, _ANGLE_PERCENTILES)
    if not np.isfinite(low + high) or np.degrees(high - low) < _MIN_ANGLE_DEG:
        return fit.model_copy(update={"failed": "one stain only: its directions do not differ"})
    pair = [plane @ (np.cos(a), np.sin(a)) for a in (low, high)]
    stains = np.array(sorted(pair, key=lambda stain: -stain[0] / np.linalg.norm(stain)))
    strength = np.percentile(density @ np.linalg.pinv(stains), 99, axis=0)
    if float(strength.min()) <= 0 or float(stains.max(axis=1).min()) <= 0:
        return fit.model_copy(update={"failed": "the stain vectors are not those of two dyes"})
    return fit.model_copy(
        update={
            "stains": tuple(tuple(map(float, stain)) for stain in stains),
            "strength": tuple(map(float, strength)),
        }
    )


def _remixed(rgb: RGB, fit: StainFit) -> F64:
    amounts = _densities(rgb, fit.white) @ np.linalg.pinv(np.array(fit.stains))
    scaled = np.maximum(amounts, 0) * (np.array(MACENKO_STRENGTH) / fit.strength)
    remixed: F64 = (MACENKO_GLASS + 1) * np.exp(-scaled @ np.array(MACENKO_STAINS)) - 1
    return remixed
