"""Random fields: smooth, standardised, of any size, made on a coarse grid and enlarged."""

import cv2
import numpy as np

from immunopath.imaging.arrays import FloatMap


def smooth_field(
    size: int,
    grain_px: float,
    rng: np.random.Generator,
    stretch: float = 1.0,
    turned: bool = False,
) -> FloatMap:
    """Return a random field of shape (size, size) with mean 0 and standard deviation 1.

    grain_px: scale of its features in pixels; stretch: how much longer they are along x; turned:
    in a random direction instead.
    """
    grain = max(grain_px, 0.5)
    wide = int(np.ceil(size * 1.42)) if turned else size
    rows = max(4, int(np.ceil(wide / grain)) + 3)
    columns = max(4, int(np.ceil(wide / (grain * stretch))) + 3)
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    turn = np.deg2rad(rng.uniform(0, 180)) if turned else 0.0
    fine = _enlarged(coarse, size, (1 / (grain * stretch), 1 / grain), turn)
    spread = float(fine.std())
    return np.asarray((fine - fine.mean()) / (spread if spread > 1e-6 else 1.0), dtype=np.float32)


def _enlarged(coarse: FloatMap, size: int, step: tuple[float, float], turn: float) -> FloatMap:
    """Sample a coarse grid at size x size points, `step` grid cells apart, turned about its middle.

    One warp: the fine pixel (i, j) looks at the coarse middle + step * rotated (i, j).
    """
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    turning = np.array([[cosine, -sine], [sine, cosine]]) * np.asarray(step)[:, None]
    middle = (np.array(coarse.shape[::-1]) - 1) / 2
    offset = middle - turning @ np.array([(size - 1) / 2, (size - 1) / 2])
    fine = cv2.warpAffine(
        coarse,
        np.column_stack([turning, offset]),
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(fine, dtype=np.float32)
