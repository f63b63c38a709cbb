"""Tiles as the vision tower takes them: decoded once, resized by the model's own processor.

What an epoch changes (turns, stain) is done on the resized 8-bit pixels, so that a tile need not be
decoded again; without a change the numbers are exactly those of the product's engine.
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import CaseFileError, ImageReadError
from immunopath.imaging.arrays import RGB
from immunopath.imaging.decode import decode_image
from immunopath.training.lora.augment import Pixels, augmented
from immunopath.training.lora.config import AugmentConfig
from immunopath.training.samples import TILES


class TilePixels:
    """Reads tiles for one image processor (of transformers, PIL backend).

    cache_mb: resized tiles kept in memory, the last used ones; digests: SHA-256 by file, as the
    manifest states them: what is trained on is what the checkpoint's record names.
    """

    def __init__(
        self,
        image_processor: Any,  # noqa: ANN401
        cache_mb: int,
        digests: Mapping[Path, str] | None = None,
    ) -> None:
        self._processor, self._digests = image_processor, digests or {}
        self._room = cache_mb * 2**20
        self._held = 0
        self._cache: OrderedDict[Path, Pixels] = OrderedDict()
        self._table = self._numbers()

    def _numbers(self) -> npt.NDArray[np.float32]:
        """Return what the processor makes of each 8-bit sample, (256, 3): asked, not computed."""
        from PIL import Image

        levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        image = Image.fromarray(np.repeat(levels[:, :, None], 3, axis=2))
        made = self._processor(images=[image], do_resize=False, return_tensors="np")
        found = np.asarray(made["pixel_values"][0], dtype=np.float32)
        return np.ascontiguousarray(found.reshape(3, 256).T)

    def resized(self, path: Path) -> Pixels:
        """Return a tile (px, px, 3) at the vision tower's size.

        Raises `ImageReadError`, and `CaseFileError` for a file that is not the manifest's.
        """
        if path in self._cache:
            self._cache.move_to_end(path)
            return self._cache[path]
        pixels = self._resize(_decoded(path, self._digests.get(path, "")))
        if pixels.nbytes <= self._room:
            self._cache[path] = pixels
            self._held += pixels.nbytes
            while self._held > self._room:
                self._held -= self._cache.popitem(last=False)[1].nbytes
        return pixels

    def _resize(self, pixels: RGB) -> Pixels:
        from PIL import Image

        made = self._processor(
            images=[Image.fromarray(pixels)],
            do_rescale=False,
            do_normalize=False,
            return_tensors="np",
        )["pixel_values"][0]
        return np.ascontiguousarray(np.moveaxis(np.asarray(made).astype(np.uint8), 0, -1))

    def model_input(
        self, path: Path, how: AugmentConfig, source: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        """Return a tile as float32 (3, px, px), changed at random as `how` says."""
        pixels = augmented(self.resized(path), how, source)
        channels = [self._table[pixels[:, :, c], c] for c in range(3)]
        return np.stack(channels)


def _decoded(path: Path, digest: str) -> RGB:
    """Return the pixels that the product's engine would be shown of a file."""
    try:
        found = decode_image(path)
    except ImageReadError as error:
        raise ImageReadError(
            f"{path}: the tile cannot be read ({type(error).__name__}); write the tiles anew"
        ) from error
    if digest and found.sha256 != digest:
        raise CaseFileError(
            f"{path}: is not the file that {TILES} names (SHA-256 differs); cut the tiles again"
        )
    return found.pixels
