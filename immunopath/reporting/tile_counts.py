"""Nuclei of a tile."""

from immunopath.domain.quality import TileSummary
from immunopath.models.protocols import NucleiTable


def tile_counts(tile: TileSummary, nuclei: NucleiTable) -> tuple[int, int]:
    """Return how many nuclei, and of them lymphocytes, have their centre in a tile."""
    x, y, width, height = (side * tile.mpp for side in tile.box)
    inside = (
        (nuclei.image_index == tile.image_index)
        & (nuclei.x_um >= x)
        & (nuclei.x_um < x + width)
        & (nuclei.y_um >= y)
        & (nuclei.y_um < y + height)
    )
    return int(inside.sum()), int(nuclei.is_lymphocyte[inside].sum())
