"""Tissue of a tile on the 10 µm grid of its image: what is glass can be no nest.

A pixel is tissue when the sum of its three densities, under a 3 x 3 mean, exceeds 0.25.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.density import BOOL, F32, I64, TISSUE_OD_SUM, WORK_MPP
from immunopath.models.embedded.looks import TileBox

GRID_UM = 10.0

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TissueGrid:
    """Tissue area in µm² per cell; cell (0, 0) starts at (10 row, 10 column) µm of the image."""

    image_index: int
    row: int
    column: int
    um2: F64


def tissue_mask(od: F32) -> BOOL:
    """Return which pixels are tissue, shape (h, w), from densities (3, h, w)."""
    total = cv2.blur(od[0] + od[1] + od[2], (3, 3))
    return np.asarray(total > TISSUE_OD_SUM, np.bool_)


def tissue_grid(mask: BOOL, box: TileBox) -> TissueGrid:
    """Return the tissue area per cell of a tile's pixels at 0.5 µm/px."""
    height, width = mask.shape
    rows, columns = _cells(box.top, height), _cells(box.left, width)
    sums = cv2.integral(mask.view(np.uint8))
    corners = sums[np.ix_(_borders(rows), _borders(columns))].astype(np.float64)
    um2 = np.diff(np.diff(corners, axis=0), axis=1) * WORK_MPP**2
    return TissueGrid(box.image_index, int(rows[0]), int(columns[0]), um2)


def case_tissue_um2(grids: Iterable[TissueGrid]) -> float:
    """Return all tissue in µm²: a sum of quarters of 1 µm², hence exact."""
    return float(sum(float(g.um2.sum()) for g in grids))


def paste(grids: Iterable[TissueGrid], row: int, column: int, shape: tuple[int, int]) -> F64:
    """Return one map of `shape` from cell (row, column) on; a cell that tiles share is a sum."""
    out = np.zeros(shape, np.float64)
    for g in grids:
        top, left = g.row - row, g.column - column
        # A tile's last pixel may round into a cell beyond the grid: it belongs to none.
        height, width = min(g.um2.shape[0], shape[0] - top), min(g.um2.shape[1], shape[1] - left)
        out[top : top + height, left : left + width] += g.um2[:height, :width]
    return out


def _cells(start_um: float, n: int) -> I64:
    """Return the cell of each of `n` pixels, by the middle of the pixel."""
    middle = start_um + (np.arange(n) + 0.5) * WORK_MPP
    return np.asarray(np.floor(middle / GRID_UM), np.int64)


def _borders(cells: I64) -> I64:
    """Return where cells begin, and the end of the last."""
    starts = np.flatnonzero(np.diff(cells, prepend=cells[0] - 1))
    return np.append(starts, cells.size).astype(np.int64)
