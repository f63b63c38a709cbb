"""Random changes of a tile that leave its tissue what it is: turns, mirrorings, stain and light."""

from typing import Final

import numpy as np
import numpy.typing as npt

from immunopath.training.lora.config import AugmentConfig

Pixels = npt.NDArray[np.uint8]

STAINS: Final = np.array(
    [[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], dtype=np.float32
)
"""Optical densities of haematoxylin, eosin and a residual in R, G, B (Ruifrok and Johnston 2001,
the residual as in common use); rows are brought to unit length below."""
_MIX: Final = STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)
_UNMIX: Final = np.linalg.inv(_MIX).astype(np.float32)
_DENSITY: Final = -np.log(np.maximum(np.arange(256, dtype=np.float32), 1.0) / 255)
"""Optical density of every 8-bit sample; 0 counts as 1."""


def augmented(pixels: Pixels, how: AugmentConfig, source: np.random.Generator) -> Pixels:
    """Return a tile (h, w, 3) changed at random; the same generator state gives the same change."""
    if how.geometric:
        pixels = turned(pixels, int(source.integers(8)))
    if how.stain > 0 or how.light > 0:
        factors = 1 + how.stain * source.standard_normal(2)
        pixels = restained(pixels, factors, float(how.light * source.standard_normal()))
    return pixels


def turned(pixels: Pixels, which: int) -> Pixels:
    """Return one of the eight turns and mirrorings of a square, 0 = as it is."""
    made = np.rot90(pixels, which % 4)
    return np.ascontiguousarray(made[:, ::-1] if which >= 4 else made)


def restained(pixels: Pixels, factors: npt.ArrayLike, light: float) -> Pixels:
    """Return the tile with haematoxylin and eosin scaled by two factors and `light` added.

    light: optical density per channel on all pixels; above 0 is darker. White stays white under
    the factors, which are kept within 0.25 and 4.
    """
    scale = np.ones(3, dtype=np.float32)
    scale[:2] = np.clip(np.asarray(factors, dtype=np.float32), 0.25, 4)
    change = _UNMIX @ (scale[:, None] * _MIX)
    density = _DENSITY[pixels] @ change + np.float32(light)
    made: Pixels = np.rint(np.clip(255 * np.exp(-density), 0, 255)).astype(np.uint8)
    return made
