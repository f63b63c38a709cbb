"""Real tile stores made from arrays, and small atlases made from numbers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.imaging.decode import DecodedImage, decode_image
from immunopath.imaging.tiles import TileStore
from immunopath.models.atlas_entry import AtlasEntry, Encoder
from immunopath.models.protocols import RGB

CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"
SIZE = 8
ENCODER = Encoder(
    name="numbers", revision="1", weights_digest="d" * 64, size=SIZE, preprocess_digest="p" * 64
)


def decoded(rgb: RGB, name: str = "field.png") -> DecodedImage:
    digest = hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).hexdigest()
    return DecodedImage(np.ascontiguousarray(rgb), name, digest, digest, "PNG", None)


def store_of(*images: RGB, mpp: float = 0.5) -> TileStore:
    store = TileStore()
    for rgb in images:
        store.add_image(decoded(rgb), mpp)
    return store


def pixels(path: Path) -> RGB:
    return decode_image(path).pixels


def restained(rgb: RGB, h_gain: float, e_gain: float) -> RGB:
    """Another strength of haematoxylin and eosin, same structure."""
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    od = -np.log((rgb.astype(float) + 1) / 256)
    amounts = od.reshape(-1, 3) @ np.linalg.inv(stains) * [h_gain, e_gain, 1]
    return np.clip(256 * np.exp(-(amounts @ stains)).reshape(rgb.shape) - 1, 0, 255).astype(
        np.uint8
    )


def jpeg(rgb: RGB, quality: int) -> RGB:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.uint8)


def unit(*rows: Sequence[float]) -> npt.NDArray[np.float32]:
    table = np.zeros((len(rows), SIZE), np.float32)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def random_unit(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(n, SIZE))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def entry(number: int, **changes: object) -> AtlasEntry:
    values: dict[str, object] = {
        "entry_id": f"e{number:03d}",
        "image_id": f"i{number:03d}",
        "title": f"patch {number}",
        "image_sha256": f"file-{number}",
        "pixels_sha256": f"pixels-{number}",
        "mpp": 0.5,
        "mpp_source": "user",
        "source": "a test",
        "licence": "CC0 1.0",
        "attribution": "nobody",
    }
    return AtlasEntry.model_validate(values | changes)
