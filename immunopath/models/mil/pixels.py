"""Square tiles of a stated size as a `TileSource`: a cohort's tiles and a case's, read alike.

A head is trained on rendered tiles of one resolution and size. In the graph the same squares are
cut out of the case, and both go through the embedder in this one shape.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from immunopath.domain.errors import ImageSizeError
from immunopath.domain.quality import QualityReport, TileSummary, Verdict
from immunopath.imaging.tiles import resample
from immunopath.models.foundation.medgemma.patches import cut_patches
from immunopath.models.protocols import RGB, TileSource

UNCHECKED = QualityReport(verdict=Verdict.accept, checks=(), tissue_share=1.0)
"""Of squares that were checked where they came from."""


@dataclass(frozen=True)
class Square:
    """pixels: (px, px, 3) uint8; tile_id: of the tile it was cut from (several may share it)."""

    tile_id: str
    pixels: RGB


class SquareTiles:
    """Implements `TileSource` over squares that are already at `mpp` µm per pixel.

    There are no surroundings: what lies beyond a square was not rendered.
    """

    def __init__(self, squares: Sequence[Square], mpp: float) -> None:
        self._squares, self._mpp = tuple(squares), mpp

    @property
    def tiles(self) -> Sequence[TileSummary]:
        """One tile per square; the id is its place."""
        return tuple(
            TileSummary(
                tile_id=str(index),
                image_index=index,
                box=(0, 0, square.pixels.shape[1], square.pixels.shape[0]),
                mpp=self._mpp,
                quality=UNCHECKED,
            )
            for index, square in enumerate(self._squares)
        )

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """Return a square resampled to `mpp`; `halo_um` adds nothing, see the class."""
        return resample(self._squares[int(tile_id)].pixels, self._mpp, mpp)

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """Return zeros."""
        return (0.0, 0.0, 0.0, 0.0)

    def image(self, image_index: int, max_px: int) -> RGB:
        """Return a square reduced to at most `max_px` on its longer side."""
        pixels = self._squares[image_index].pixels
        longest = max(pixels.shape[:2])
        return pixels if longest <= max_px else resample(pixels, 1.0, longest / max_px)


def squares_of(source: TileSource, mpp: float, px: int) -> list[Square]:
    """Return every whole square of `px` pixels at `mpp` µm/px in the accepted tiles of a case.

    Raises `ImageSizeError` when there are tiles and none holds one.
    """
    try:
        patches = cut_patches(source, mpp, px, sys.maxsize)
    except ImageSizeError as error:
        raise ImageSizeError(
            f"the head was trained on tiles of {px} px at {mpp:g} µm/px ({px * mpp:.0f} µm a side) "
            "and the image is smaller; give a larger field"
        ) from error
    return [Square(patch.tile_id, patch.pixels) for patch in patches]
