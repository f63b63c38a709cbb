"""A block of tiles of a slide at 0.5 µm/px, each with its true surroundings."""

from dataclasses import dataclass
from typing import Final

from immunopath.domain.heat import TILE_UM
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.slide import Slide
from immunopath.imaging.tiles import Box
from immunopath.models.embedded.density import WORK_MPP
from immunopath.models.embedded.looks import HALO_UM
from immunopath.models.protocols import RGB

TILE_PX: Final = round(TILE_UM / WORK_MPP)


@dataclass(frozen=True)
class BlockPixels:
    """Implements `TilePixels` for the tiles of one block at 0.5 µm/px.

    rgb: the block; corners: x and y in it of each tile by its id.
    """

    rgb: RGB
    corners: dict[str, tuple[int, int]]

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """See `TilePixels`; `mpp` is that of the block."""
        if mpp != WORK_MPP:
            raise ValueError(f"the block is at {WORK_MPP} µm per pixel, {mpp} was asked for")
        x, y = self.corners[tile_id]
        left, top, right, bottom = self._halo_px(tile_id, halo_um)
        return self.rgb[y - top : y + TILE_PX + bottom, x - left : x + TILE_PX + right]

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """See `TilePixels`."""
        left, top, right, bottom = self._halo_px(tile_id, halo_um)
        return left * WORK_MPP, top * WORK_MPP, right * WORK_MPP, bottom * WORK_MPP

    def _halo_px(self, tile_id: str, halo_um: float) -> tuple[int, int, int, int]:
        wanted, (x, y) = round(halo_um / WORK_MPP), self.corners[tile_id]
        height, width = self.rgb.shape[:2]
        right, bottom = max(0, width - x - TILE_PX), max(0, height - y - TILE_PX)
        return min(wanted, x), min(wanted, y), min(wanted, right), min(wanted, bottom)


def tile_id(place: GridTile) -> str:
    """Return ``column,row``."""
    return f"{place.column},{place.row}"


def read_block(slide: Slide, places: tuple[GridTile, ...], bounds: Box) -> BlockPixels:
    """Return the pixels around places with 32 µm on every side that the slide has."""
    halo = round(HALO_UM / slide.mpp)
    left = max(bounds[0], min(p.box[0] for p in places) - halo)
    top = max(bounds[1], min(p.box[1] for p in places) - halo)
    right = min(bounds[0] + bounds[2], max(p.box[0] + p.box[2] for p in places) + halo)
    bottom = min(bounds[1] + bounds[3], max(p.box[1] + p.box[3] for p in places) + halo)
    scale = slide.mpp / WORK_MPP
    width, height = round((right - left) * scale), round((bottom - top) * scale)
    rgb = slide.read_region((left, top, right - left, bottom - top), (width, height))
    corners = {
        tile_id(p): (
            max(0, min(round((p.box[0] - left) * scale), width - TILE_PX)),
            max(0, min(round((p.box[1] - top) * scale), height - TILE_PX)),
        )
        for p in places
    }
    return BlockPixels(rgb, corners)
