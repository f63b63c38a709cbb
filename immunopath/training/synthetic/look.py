"""How a laboratory and its scanner colour a field: stain vectors, strength, optics, compression.

Everything here changes colour and sharpness only; what a field shows is in `scene`.
"""

import zlib
from typing import Final

import numpy as np
from pydantic import Field

from immunopath.domain.base import Frozen

HAEMATOXYLIN: Final = (0.65, 0.70, 0.29)
EOSIN: Final = (0.07, 0.99, 0.11)
"""Optical density per unit of stain in R, G, B (Ruifrok and Johnston 2001)."""


class Look(Frozen):
    """One way to stain and scan.

    haematoxylin, eosin: stain vectors in optical density, unit length is not needed;
    haematoxylin_strength, eosin_strength: factors; white: of empty glass in R, G, B, 0 to 255;
    gamma: exponent on [0, 1] values; blur_um: sigma of the optics; noise: standard deviation of
    the sensor in grey levels; jpeg: quality, None = not compressed.
    """

    haematoxylin: tuple[float, float, float] = HAEMATOXYLIN
    eosin: tuple[float, float, float] = EOSIN
    haematoxylin_strength: float = Field(default=1.0, gt=0)
    eosin_strength: float = Field(default=1.0, gt=0)
    white: tuple[float, float, float] = (243.0, 242.0, 244.0)
    gamma: float = Field(default=1.0, gt=0.2, lt=5)
    blur_um: float = Field(default=0.35, ge=0)
    noise: float = Field(default=2.0, ge=0)
    jpeg: int | None = Field(default=90, ge=10, le=100)


def site_look(site: str, seed: int, effect: float = 1.0) -> Look:
    """Return the look of a site: the same for the same name, seed and effect.

    effect: 0 = every site looks alike, 1 = as different as laboratories are.
    """
    return varied(Look(), np.random.default_rng([seed, zlib.crc32(site.encode())]), effect)


def varied(look: Look, rng: np.random.Generator, effect: float) -> Look:
    """Return a variation of a look: a site's of the common one, a slide's of its site's."""

    def turned(vector: tuple[float, float, float]) -> tuple[float, float, float]:
        made = np.clip(np.asarray(vector) + rng.normal(0, 0.06, 3) * effect, 0.02, 1.2)
        return float(made[0]), float(made[1]), float(made[2])

    white = np.clip(np.asarray(look.white) + rng.normal(0, 4, 3) * effect, 215, 255)
    quality = look.jpeg
    if quality is not None:
        quality = int(np.clip(quality - abs(rng.normal(0, 8)) * effect, 60, 100))
    return Look(
        haematoxylin=turned(look.haematoxylin),
        eosin=turned(look.eosin),
        haematoxylin_strength=look.haematoxylin_strength * _factor(rng, 0.15 * effect),
        eosin_strength=look.eosin_strength * _factor(rng, 0.2 * effect),
        white=(float(white[0]), float(white[1]), float(white[2])),
        gamma=look.gamma * _factor(rng, 0.08 * effect),
        blur_um=look.blur_um * _factor(rng, 0.3 * effect),
        noise=look.noise * _factor(rng, 0.3 * effect),
        jpeg=quality,
    )


def _factor(rng: np.random.Generator, spread: float) -> float:
    return float(np.exp(np.clip(rng.normal(0, spread), -2.5 * spread, 2.5 * spread)))
