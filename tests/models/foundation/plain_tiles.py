"""A tile source made of arrays, without quality control: for images that are no tissue."""

from collections.abc import Sequence

import cv2
import numpy as np

from immunopath.domain.quality import QualityReport, TileSummary, Verdict
from immunopath.models.protocols import RGB

ACCEPTED = QualityReport(verdict=Verdict.accept, checks=(), tissue_share=1.0)


class PlainTiles:
    """Implements `TileSource`: every image is one accepted tile at `mpp` µm per pixel."""

    def __init__(self, images: Sequence[RGB], mpp: float = 0.5) -> None:
        self._images, self._mpp = list(images), mpp

    @property
    def tiles(self) -> Sequence[TileSummary]:
        return tuple(
            TileSummary(
                tile_id=f"t{i}", image_index=i, box=(0, 0, image.shape[1], image.shape[0]),
                mpp=self._mpp, mpp_source="user", quality=ACCEPTED,
            )
            for i, image in enumerate(self._images)
        )  # fmt: skip

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        image = self._images[int(tile_id[1:])]
        size = [round(side * self._mpp / mpp) for side in (image.shape[1], image.shape[0])]
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        return (0.0, 0.0, 0.0, 0.0)

    def image(self, image_index: int, max_px: int) -> RGB:
        return self._images[image_index]
