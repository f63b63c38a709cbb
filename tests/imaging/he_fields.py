"""Synthetic fields with the colours of H&E, for tests that need a certain size or a law."""

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]
_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
_EOSIN = np.array([0.07, 0.99, 0.11])


def he_field(height: int, width: int, *, seed: int = 0, nuclei: float = 0.004) -> RGB:
    """Return nuclei on eosin stroma: made of stain vectors, so hue and order are right."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    haematoxylin = np.full((height, width), 0.08, np.float32)
    for _ in range(max(1, int(nuclei * height * width))):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(4, 8)
        top, left = max(0, int(y - 9)), max(0, int(x - 9))
        box = np.s_[top : int(y + 10), left : int(x + 10)]
        inside = (rows[box] - y) ** 2 + (columns[box] - x) ** 2 < radius**2
        haematoxylin[box][inside] = rng.uniform(0.9, 1.4)
    eosin = 0.35 + 0.1 * rng.standard_normal((height, width)).astype(np.float32)
    od = haematoxylin[..., None] * _HAEMATOXYLIN + np.clip(eosin, 0, None)[..., None] * _EOSIN
    return np.asarray(np.clip(245 * np.exp(-od), 0, 255), dtype=np.uint8)
