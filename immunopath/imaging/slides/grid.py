"""Tiles on a grid of micrometres: disjoint, square in what they show, without drift."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.domain.units import checked_mpp
from immunopath.imaging.slides.mask import Kind, TissueMask
from immunopath.imaging.tiles import Box

SHORT = 0.01
"""A tile may lack this share of its side: 512 px at 0.499 µm/px serve as 256 µm."""


@dataclass(frozen=True)
class GridTile:
    """A place on the grid: its box in level-0 pixels and the shares of each kind in the mask."""

    column: int
    row: int
    box: Box
    tissue: float
    pen: float
    fold: float


def plan_grid(bounds: Box, mpp: float, side_um: float) -> tuple[tuple[int, int, Box], ...]:
    """Return (column, row, box) of every whole tile of `side_um` µm inside `bounds`, row by row.

    Borders are rounded multiples of the side, so tiles touch, never overlap, and no error adds up;
    a box may be one pixel longer than its neighbour. What remains at the right and lower border is
    less than one tile, and the pixel that rounding may add.
    """
    x, y, width, height = bounds
    side = side_um / checked_mpp(mpp)
    columns, rows = _edges(width, side), _edges(height, side)
    return tuple(
        (column, row, (x + x0, y + y0, x1 - x0, y1 - y0))
        for row, (y0, y1) in enumerate(itertools.pairwise(rows))
        for column, (x0, x1) in enumerate(itertools.pairwise(columns))
    )


def tile_places(bounds: Box, mpp: float, side_um: float, mask: TissueMask) -> list[GridTile]:
    """Return the places of the grid with what the mask says of each."""
    sums = {kind: _integral(mask.kinds == kind) for kind in (Kind.tissue, Kind.pen, Kind.fold)}
    height, width = mask.kinds.shape
    places = []
    for column, row, box in plan_grid(bounds, mpp, side_um):
        left, right = span(box[0] - bounds[0], box[2], bounds[2], width)
        top, bottom = span(box[1] - bounds[1], box[3], bounds[3], height)
        area = (right - left) * (bottom - top)
        share = {
            kind: float(
                total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
            )
            / area
            for kind, total in sums.items()
        }
        places.append(
            GridTile(column, row, box, share[Kind.tissue], share[Kind.pen], share[Kind.fold])
        )
    return places


def _edges(length: int, side: float) -> list[int]:
    count = math.floor(length / side + SHORT)
    return [min(round(k * side), length) for k in range(count + 1)]


def span(start: int, length: int, full: int, pixels: int) -> tuple[int, int]:
    """Return first and end pixel of a thumbnail line of `pixels` for a part of `full` pixels."""
    first = min(int(start * pixels / full), pixels - 1)
    return first, max(first + 1, min(pixels, round((start + length) * pixels / full)))


def _integral(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    out = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int64)
    out[1:, 1:] = mask.cumsum(0).cumsum(1)
    return out
