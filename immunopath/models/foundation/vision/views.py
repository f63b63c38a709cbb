"""Square views of tiles: what a model with a fixed input sees of a tile, at a stated resolution.

A tile of 256 µm is rarely what a model wants. ``tile`` lays as many whole squares as fit into the
middle of it, ``crop`` takes the one in the middle. Where the tile is smaller than the square, true
surroundings are added if the image has them; nothing is padded or stretched. ``squeeze`` is the
exception that a user must ask for: the whole tile, whatever its shape and scale, is one view.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from immunopath.domain.quality import TileSummary
from immunopath.models.protocols import RGB, TileSource

Layout = Literal["tile", "crop", "squeeze"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_SLACK = 0.02
"""A field this much smaller than the view still counts: resolutions are rounded."""


@dataclass(frozen=True)
class ViewPlan:
    """How tiles become views: squares of `side_px` pixels at `mpp` µm per pixel.

    With the layout ``squeeze`` a view is the whole tile at `mpp`, of any shape.
    """

    mpp: float
    side_px: int
    layout: Layout

    @property
    def side_um(self) -> float:
        """Side of a view, µm."""
        return self.side_px * self.mpp


def views(source: TileSource, tile: TileSummary, plan: ViewPlan) -> tuple[RGB, ...]:
    """Return the views of a tile, row by row; none when the tile and its surroundings are small.

    Shape (side_px, side_px, 3) uint8, up to 2 % smaller where a rounded resolution made the field
    so; with ``squeeze`` the shape of the tile.
    """
    rgb = source.pixels(tile.tile_id, plan.mpp)
    if plan.layout == "squeeze":
        return (rgb,)
    extent = (rgb.shape[0], rgb.shape[1])
    missing = plan.side_px - min(extent)
    top = left = 0
    if missing > 0:
        halo_um = missing * plan.mpp
        left_um, top_um, _, _ = source.halo(tile.tile_id, halo_um)
        rgb = source.pixels(tile.tile_id, plan.mpp, halo_um)
        top, left = round(top_um / plan.mpp), round(left_um / plan.mpp)
    rows = _windows(top, extent[0], rgb.shape[0], plan)
    columns = _windows(left, extent[1], rgb.shape[1], plan)
    return tuple(rgb[y0:y1, x0:x1] for y0, y1 in rows for x0, x1 in columns)


def batches(source: TileSource, plan: ViewPlan, size: int) -> Iterator[list[tuple[int, RGB]]]:
    """Yield up to `size` views at a time, each with the row of its tile in ``source.tiles``.

    Tiles are read as they are needed: a slide's views never lie in memory together.
    """
    batch: list[tuple[int, RGB]] = []
    for row, tile in enumerate(source.tiles):
        for view in views(source, tile, plan):
            batch.append((row, view))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def too_small(tiles: Sequence[TileSummary], plan: ViewPlan) -> str:
    """Return the sentence for tiles that give no view: how large the largest is, what to do."""
    largest = max((min(t.box[2:]) * t.mpp for t in tiles), default=0.0)
    return (
        f"no field is {plan.side_um:.0f} µm across (largest: {largest:.0f} µm): give larger "
        "images, a smaller mpp= or view=squeeze, which changes the scale the model sees"
    )


def _windows(start: int, extent: int, full: int, plan: ViewPlan) -> list[tuple[int, int]]:
    """Return (from, to) of the windows along one axis of an array of length `full`.

    `start` and `extent` say where the tile itself lies in the array.
    """
    side = plan.side_px
    if full < side:
        return [(0, full)] if full >= (1 - _SLACK) * side else []
    if extent < side:
        first = min(max(start - (side - extent) // 2, 0), full - side)
        return [(first, first + side)]
    count = 1 if plan.layout == "crop" else extent // side
    first = start + (extent - count * side) // 2
    return [(first + i * side, first + (i + 1) * side) for i in range(count)]
