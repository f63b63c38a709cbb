"""The maps behind the layout: nests, other cellular tissue, counts by block, on 10 µm cells."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.density import BOOL, F32, blur
from immunopath.models.embedded.looks import TileBox
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.tissue import GRID_UM, TissueGrid, paste

SIGMA_UM = 25.0
BLOCK_UM = 100.0
SQUARE_UM = 50.0
MIN_SIDE_UM = 200.0
MIN_FIELD_MM2 = 0.04
MIN_NUCLEI = 100
LARGE_ROUND_UM2 = 16.0
ROUND_RATIO = 0.4
NEST_PER_MM2 = 1200.0
CELLULAR_PER_MM2 = 500.0
"""Below this density of nuclei a cell of the grid is glass or bare matrix and counts nowhere."""
CELL_TISSUE = 0.3
"""Share of tissue pixels below which a cell is glass, whatever lies around it; no nest there."""

F64 = npt.NDArray[np.float64]
CELL_MM2 = GRID_UM**2 * 1e-6
_BLOCK_CELLS = round(BLOCK_UM / GRID_UM)


@dataclass(frozen=True)
class NestMaps:
    """Where nests and other cellular tissue lie, and tissue per cell of 10 µm.

    nest, outside: bool, tissue_um2: float64, all (h, w); left, top: µm of the first cell.
    """

    nest: BOOL
    outside: BOOL
    tissue_um2: F64
    left: float
    top: float


def large_enough(boxes: list[TileBox], n_nuclei: int) -> bool:
    """Return whether tiles of one image make a field in which a layout can be judged."""
    width = max(b.left + b.width for b in boxes) - min(b.left for b in boxes)
    height = max(b.top + b.height for b in boxes) - min(b.top for b in boxes)
    area = sum(b.width * b.height for b in boxes) * 1e-6
    # Half a pixel of slack: 200 µm rounded to source pixels is still 200 µm.
    side = min(width, height) + 0.5
    return side >= MIN_SIDE_UM and area * 1.005 >= MIN_FIELD_MM2 and n_nuclei >= MIN_NUCLEI


def nest_maps(nuclei: Nuclei, boxes: list[TileBox], tissue: list[TissueGrid]) -> NestMaps:
    """Return where nests and other cellular tissue lie, on a grid over the image's tiles."""
    top, left = (GRID_UM * np.floor(min(v) / GRID_UM) for v in _starts(boxes))
    covered = _covered(boxes, top, left)
    shape = (covered.shape[0], covered.shape[1])
    um2 = paste(tissue, round(top / GRID_UM), round(left / GRID_UM), shape)
    solid = (covered > 0) & (um2 >= CELL_TISSUE * GRID_UM**2)
    sigma = SIGMA_UM / GRID_UM
    weight = np.maximum(blur(covered, sigma), 1e-3)
    row, column = cells_of(nuclei, NestMaps(solid, solid, um2, left, top))

    def density(chosen: BOOL) -> F32:
        cells = row[chosen] * shape[1] + column[chosen]
        grid = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        smooth = blur(grid.astype(np.float32), sigma) / (weight * np.float32(CELL_MM2))
        return smooth.astype(np.float32, copy=False)

    other = ~nuclei.is_lymphocyte
    large = (nuclei.area_um2 > LARGE_ROUND_UM2) & (nuclei.axis_ratio > ROUND_RATIO)
    tumour, lymphocytes = density(other & large), density(nuclei.is_lymphocyte)
    nest = (tumour > NEST_PER_MM2) & (tumour > lymphocytes) & solid
    cellular = density(np.ones(len(nuclei), np.bool_)) > CELLULAR_PER_MM2
    return NestMaps(nest, cellular & ~nest & solid, um2, left, top)


def _starts(boxes: list[TileBox]) -> tuple[list[float], list[float]]:
    return [b.top for b in boxes], [b.left for b in boxes]


def _covered(boxes: list[TileBox], top: float, left: float) -> F32:
    """Return 1 where tiles lie, 0 elsewhere, on the grid that starts at (top, left)."""
    bottom, right = max(b.top + b.height for b in boxes), max(b.left + b.width for b in boxes)
    shape = (int(np.ceil((bottom - top) / GRID_UM)), int(np.ceil((right - left) / GRID_UM)))
    covered = np.zeros(shape, np.float32)
    for b in boxes:
        rows, cols = (
            slice(round((start - origin) / GRID_UM), int(np.ceil((end - origin) / GRID_UM)))
            for start, end, origin in (
                (b.top, b.top + b.height, top),
                (b.left, b.left + b.width, left),
            )
        )
        covered[rows, cols] = 1
    return covered


def cells_of(nuclei: Nuclei, maps: NestMaps) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return grid row and column of each nucleus."""
    row = ((nuclei.y_um - maps.top) / GRID_UM).astype(np.int64)
    column = ((nuclei.x_um - maps.left) / GRID_UM).astype(np.int64)
    height, width = maps.nest.shape
    return np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)


def block_table(
    nuclei: Nuclei, maps: NestMaps, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]
) -> F64:
    """Return the counts of each 100 µm block, columns as in `Layout.blocks`."""
    height, width = maps.nest.shape
    per_row = -(-width // _BLOCK_CELLS)
    n = per_row * -(-height // _BLOCK_CELLS)
    cell_y, cell_x = np.mgrid[:height, :width] // _BLOCK_CELLS
    return sums_by(cell_y * per_row + cell_x, n, nuclei, maps, (row, column))


def sums_by(
    group: npt.NDArray[np.int64],
    n: int,
    nuclei: Nuclei,
    maps: NestMaps,
    place: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> F64:
    """Return the counts of `n` groups of cells, shape (n, 6), columns as in `Layout.blocks`.

    group: number of the group of each cell, (h, w); place: row and column of each nucleus.
    """
    own, lym, nest = group[place], nuclei.is_lymphocyte, maps.nest[place]
    outside = maps.outside[place]

    def count(mask: BOOL) -> F64:
        return np.bincount(own, weights=mask, minlength=n).astype(np.float64)

    def area(cells: BOOL) -> F64:
        um2 = np.where(cells, maps.tissue_um2, 0.0).ravel()
        return np.bincount(group.ravel(), weights=um2, minlength=n).astype(np.float64) * 1e-6

    everything = np.ones(len(nuclei), np.bool_)
    return np.stack(
        [
            count(lym & nest),
            area(maps.nest),
            count(lym & outside),
            area(maps.outside),
            count(lym),
            count(everything),
        ],
        axis=1,
    )


def square_counts(nuclei: Nuclei, maps: NestMaps) -> F64:
    """Return counts of lymphocytes and others per 50 µm square, shape (2, k)."""
    row = ((nuclei.y_um - maps.top) / SQUARE_UM).astype(np.int64)
    column = ((nuclei.x_um - maps.left) / SQUARE_UM).astype(np.int64)
    square = row * (int(column.max(initial=0)) + 1) + column
    n = int(square.max(initial=0)) + 1
    lym = nuclei.is_lymphocyte
    return np.stack([np.bincount(square[m], minlength=n) for m in (lym, ~lym)]).astype(np.float64)
