"""Do the structures fit the resolution? Energy of blobs of 4 µm against blobs of 1.5 µm.

Nuclear area alone hardly moves when the resolution is wrong by a factor of two: the candidates are
sought at one size and found at it. The energy of the whole field does move.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from immunopath.models.embedded.candidates import SIGMA_UM, BaseMaps
from immunopath.models.embedded.density import F32, WORK_MPP, blur

COARSE_UM = 4.0
PITCH_UM = 2.0
_STEP = round(PITCH_UM / WORK_MPP)


@dataclass(frozen=True)
class Energy:
    """Variance of the two scale-normalised Laplacians, summed over `pixels` pixels."""

    pixels: int
    fine: float
    coarse: float


def energy(maps: BaseMaps, core: tuple[slice, slice]) -> Energy:
    """Return the energies of one tile; its surroundings are blurred in but not counted."""
    fine = _variance(maps.red15, SIGMA_UM, WORK_MPP, core)
    height, width = (n // _STEP for n in maps.red15.shape)
    small = cv2.resize(maps.red15, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_AREA)
    rest = math.sqrt(COARSE_UM**2 - SIGMA_UM**2) / PITCH_UM
    rows, columns = (slice(s.start // _STEP, max(s.stop // _STEP, 1)) for s in core)
    coarse = _variance(
        blur(np.asarray(small, np.float32), rest), COARSE_UM, PITCH_UM, (rows, columns)
    )
    pixels = maps.red15[core].size
    return Energy(pixels, fine * pixels, coarse * pixels)


def coarse_to_fine(energies: Sequence[Energy]) -> float | None:
    """Return the ratio of the standard deviations over all tiles; None without structure."""
    fine = sum(e.fine for e in energies)
    return math.sqrt(sum(e.coarse for e in energies) / fine) if fine > 0 else None


def _variance(blurred: F32, sigma_um: float, pitch_um: float, core: tuple[slice, slice]) -> float:
    scale = (sigma_um / pitch_um) ** 2
    found = cv2.Laplacian(blurred, cv2.CV_32F, ksize=1, scale=scale)
    _, deviation = cv2.meanStdDev(found[core])
    return float(deviation[0, 0]) ** 2
