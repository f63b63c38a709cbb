"""Copies of a patch as another laboratory and scanner might have made it (for the fits only)."""

import cv2
import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_GAIN_SD = np.array([0.22, 0.28, 0.20])


def jitter(rgb: RGB, mpp: float, rng: np.random.Generator) -> RGB:
    """Return a copy with other stain gains and vectors, white, focus, scale, noise and JPEG.

    The spreads are those of the embedded predictor's fit, so that the engines are compared on the
    same nuisance.
    """
    stains = _STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)
    od = -np.log((rgb.astype(np.float64) + 1) / 256)
    amounts = od.reshape(-1, 3) @ np.linalg.inv(stains)
    moved = np.clip(stains + rng.normal(0, 0.05, stains.shape), 0, None)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    amounts *= np.exp(rng.normal(0, 1, 3) * _GAIN_SD)
    white = rng.uniform(235, 253)
    image = white * np.exp(-(amounts @ moved)).reshape(rgb.shape)
    image = image.astype(np.float32)
    sigma = rng.uniform(0, 0.6) / mpp
    if sigma > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    target = rng.choice([0.2, 0.25, 0.5])
    if target > mpp:
        size = (round(rgb.shape[1] * mpp / target), round(rgb.shape[0] * mpp / target))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    image = image + rng.normal(0, 1.5, image.shape)
    levels = np.clip(np.round(image), 0, 255).astype(np.uint8)
    ok, data = cv2.imencode(
        ".jpg", levels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
    )
    assert ok
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    if back.shape != rgb.shape:
        size = (rgb.shape[1], rgb.shape[0])
        back = cv2.resize(back, size, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(back)
