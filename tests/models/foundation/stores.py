"""Real tile stores made from arrays and files."""

import hashlib
from pathlib import Path

import numpy as np

from immunopath.imaging.decode import DecodedImage, decode_image
from immunopath.imaging.tiles import TileStore
from immunopath.models.protocols import RGB

CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"


def store_of(*images: RGB, mpp: float = 0.5) -> TileStore:
    """Return a store of images given as arrays, all at `mpp` µm per pixel."""
    store = TileStore()
    for rgb in images:
        digest = hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).hexdigest()
        pixels = np.ascontiguousarray(rgb)
        store.add_image(DecodedImage(pixels, "field.png", digest, digest, "PNG", None), mpp)
    return store


def core(images: Path, side: int | None = None) -> TileStore:
    """Return the store of a real tissue core at 0.5 µm per pixel, or of its middle `side` px."""
    rgb = decode_image(images / CORE).pixels
    if side is not None:
        top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
        rgb = rgb[top : top + side, left : left + side]
    return store_of(rgb)
