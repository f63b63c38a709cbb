"""Where on a thumbnail is tissue? Adaptive to the slide: its glass, its noise, its stain.

Everything is measured as optical density (OD, natural logarithm) against the slide's own glass, so
that a dim lamp or a yellow slide changes nothing. Pen and folds are found by what they do to light:
ink absorbs in an order that haematoxylin and eosin cannot, a fold is two layers and doubles both
stains at once (a dense lymphoid aggregate raises haematoxylin alone and stays tissue).
"""

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.imaging.arrays import RGB, FloatMap

MASK_MPP = 8.0
"""Resolution at which masks are made: a cell is one pixel, a pen stroke fifty."""
LOWEST_OD, HIGHEST_OD = 0.06, 0.25
"""Range of the adaptive threshold on the sum of the three ODs; 0.25 is that of quality control."""
NOISE_SIGMAS = 5.0
GLASS_CHROMA = 25
"""Grey levels that the channels of bare glass differ by at most."""
DARKEST_GLASS = 100
GREY_SPREAD = 0.06
"""Spread of the ODs over their sum below which a pixel is grey: dust, shadow, glass edge."""
MIN_TISSUE_UM2 = 5_000.0
MIN_ARTEFACT_UM2 = 10_000.0
FOLD_FACTOR, FOLD_MIN_OD = 1.6, 1.5
"""Two layers double both stains; a lower factor than 2 because layers are never quite equal."""
_FOLD_BLUR_PX = 5
_RIM_PX = 5
"""A stroke's rim mixes with glass and loses its colour: ink grows by two pixels on each side."""
_H_FROM_RG, _E_FROM_RG = (1.667, -0.118), (-1.178, 1.093)
"""Rows of the inverse of [[0.65, 0.70], [0.07, 0.99]], H and E in red and green OD (Ruifrok)."""

FloatTable = npt.NDArray[np.float64]


class Kind(IntEnum):
    """What a pixel of the mask shows."""

    glass = 0
    tissue = 1
    pen = 2
    fold = 3
    grey = 4


@dataclass(frozen=True)
class TissueMask:
    """kinds: `Kind` per pixel, (h, w) uint8; mpp: µm per pixel of the mask; white: glass, RGB.

    threshold: sum of ODs against `white` above which a pixel is no glass; rgb: the thumbnail.
    """

    kinds: npt.NDArray[np.uint8]
    mpp: float
    white: tuple[float, float, float]
    threshold: float
    rgb: RGB

    def shares(self) -> dict[str, float]:
        """Return the share of each kind in the whole thumbnail."""
        return {kind.name: float((self.kinds == kind).mean()) for kind in Kind}


def tissue_mask(rgb: RGB, mpp: float) -> TissueMask:
    """Classify the pixels of a thumbnail (h, w, 3) at `mpp` µm per pixel."""
    smooth = np.asarray(cv2.blur(np.ascontiguousarray(rgb), (3, 3)), dtype=np.uint8)
    white = glass_colour(smooth)
    red, green, blue = densities(smooth, white)
    total = red + green + blue
    threshold = _threshold(total)
    stained = total > threshold
    spread = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    grey = stained & (spread < GREY_SPREAD * total)
    pen = _grown(_large(_ink(red, green, blue, total), mpp, MIN_ARTEFACT_UM2, open_px=3)) & stained
    tissue = _closed(stained & ~grey & ~pen)
    fold = _large(_folds(red, green, total, tissue), mpp, MIN_ARTEFACT_UM2, open_px=3)
    kinds = np.zeros(total.shape, np.uint8)
    kinds[grey] = Kind.grey
    kinds[_large(tissue & ~pen, mpp, MIN_TISSUE_UM2)] = Kind.tissue
    kinds[fold] = Kind.fold
    kinds[pen] = Kind.pen
    return TissueMask(kinds, mpp, white, threshold, rgb)


def glass_colour(smooth: RGB) -> tuple[float, float, float]:
    """Return the colour of bare glass; without any glass in view, the brightest tissue or 200."""
    top = np.percentile(smooth.reshape(-1, 3), 99, axis=0)
    if float(top.max() - top.min()) > GLASS_CHROMA or float(top.min()) < DARKEST_GLASS:
        top = np.maximum(top, 200.0)
    near = np.all(smooth >= top - 12, axis=2)
    glass = np.median(smooth[near], axis=0) if int(near.sum()) >= 16 else top
    return float(glass[0]), float(glass[1]), float(glass[2])


def densities(rgb: RGB, white: tuple[float, float, float]) -> list[FloatMap]:
    """Return the three optical densities of an image against `white`, 0 where it is brighter."""
    levels = np.arange(256, dtype=np.float32)
    maps = []
    for channel, glass in zip(cv2.split(np.ascontiguousarray(rgb)), white, strict=True):
        table = np.maximum(np.log((glass + 1) / (levels + 1)), 0).astype(np.float32)
        maps.append(np.asarray(cv2.LUT(channel, table), dtype=np.float32))
    return maps


def haematoxylin_tables(white: tuple[float, float, float]) -> tuple[FloatTable, ...]:
    """Return what a grey level of red and of green adds to the density of haematoxylin, (256,)."""
    levels = np.arange(256, dtype=np.float64)
    return tuple(
        part * np.maximum(np.log((glass + 1) / (levels + 1)), 0)
        for part, glass in zip(_H_FROM_RG, white[:2], strict=True)
    )


def tissue_share(rgb: RGB, mask: TissueMask) -> float:
    """Return the share of an image's pixels that are not glass, by the slide's own threshold."""
    smooth = np.asarray(cv2.blur(np.ascontiguousarray(rgb), (3, 3)), dtype=np.uint8)
    red, green, blue = densities(smooth, mask.white)
    return float((red + green + blue > mask.threshold).mean())


def _threshold(total: FloatMap) -> float:
    """Return Otsu's cut between glass and stain, above the noise of glass, at most 0.25."""
    capped = np.minimum(total, 1.0)
    counts, edges = np.histogram(capped, bins=200, range=(0.0, 1.0))
    weight = counts.cumsum()
    centres = (edges[:-1] + edges[1:]) / 2
    moment = (counts * centres).cumsum()
    below, above = weight, weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moment / below - (moment[-1] - moment) / above) ** 2
    cut = float(edges[int(np.nanargmax(np.where(np.isfinite(between), between, -1))) + 1])
    faint = total[total < HIGHEST_OD]
    noise = float(np.median(faint)) / 0.6745 if faint.size > 0.02 * total.size else 0.0
    lowest = min(max(LOWEST_OD, NOISE_SIGMAS * noise), HIGHEST_OD)
    return float(np.clip(cut, lowest, HIGHEST_OD))


def _ink(red: FloatMap, green: FloatMap, blue: FloatMap, total: FloatMap) -> npt.NDArray[np.bool_]:
    """Return pixels whose order of absorption no mixture of haematoxylin and eosin has."""
    green_or_blue = (red - green > 0.15 * total) & (total > 0.3)
    red_ink = (blue - red > 0.27 * total) & (blue - green > -0.15 * total) & (total > 1.0)
    lowest = cv2.min(cv2.min(red, green), blue)
    black = (lowest > 1.2) & (cv2.max(cv2.max(red, green), blue) < 1.15 * lowest)
    return np.asarray(green_or_blue | red_ink | black, dtype=np.bool_)


def _folds(
    red: FloatMap, green: FloatMap, total: FloatMap, tissue: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    if not tissue.any():
        return np.zeros_like(tissue)
    doubled = tissue & (total > FOLD_MIN_OD)
    for of_red, of_green in (_H_FROM_RG, _E_FROM_RG):
        stain = cv2.blur(of_red * red + of_green * green, (_FOLD_BLUR_PX, _FOLD_BLUR_PX))
        usual = max(float(np.median(stain[tissue])), 0.05)
        doubled &= stain > FOLD_FACTOR * usual
    return doubled


def _closed(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return np.asarray(closed, dtype=np.bool_)


def _grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((_RIM_PX, _RIM_PX), np.uint8))
    return np.asarray(grown, dtype=np.bool_)


def _large(
    mask: npt.NDArray[np.bool_], mpp: float, min_um2: float, *, open_px: int = 0
) -> npt.NDArray[np.bool_]:
    """Keep connected parts of at least `min_um2`, thin ones removed first when asked to."""
    image = mask.astype(np.uint8)
    if open_px:
        image = np.asarray(
            cv2.morphologyEx(image, cv2.MORPH_OPEN, np.ones((open_px, open_px), np.uint8)),
            dtype=np.uint8,
        )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(image, connectivity=8)
    keep = np.asarray(stats)[:, cv2.CC_STAT_AREA] * mpp * mpp >= min_um2
    keep[0] = False
    return np.asarray(keep[np.asarray(labels)], dtype=np.bool_)
