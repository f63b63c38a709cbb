"""The phenotype of the windows of a cell, and of the cell: the layout of `layout`, by squares."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.heat import CELL_UM, TILE_UM, WINDOW_UM, NoPhenotype
from immunopath.models.embedded.classifier import NucleiClassifier
from immunopath.models.embedded.layout import call_of
from immunopath.models.embedded.layout_maps import (
    F64,
    NestMaps,
    cells_of,
    large_enough,
    nest_maps,
    sums_by,
)
from immunopath.models.embedded.looks import TileBox
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.nuclei import CaseNuclei
from immunopath.models.embedded.tissue import GRID_UM

PER_CELL: Final = round(CELL_UM / TILE_UM)
LEAST_TILES: Final = PER_CELL * PER_CELL // 2
"""A cell of which less than half was measured has no phenotype of its own."""

Square = tuple[int, int]
"""Column and row of a square among those of its size."""


@dataclass(frozen=True)
class SquareCall:
    """A window or cell: its phenotype, or why it has none."""

    square: Square
    phenotype: str | None
    without: NoPhenotype | None = None


def square_calls(
    case: CaseNuclei, cell: Square, classifier: NucleiClassifier
) -> tuple[tuple[SquareCall, ...], SquareCall]:
    """Return the phenotype of each window with a measured tile, and of the cell."""
    per = round(CELL_UM / WINDOW_UM)
    tiles = Counter(_window_of(box) for box in case.boxes)
    if not tiles:
        return (), SquareCall(cell, None, "little_tissue")
    boxes = list(case.boxes)
    maps = nest_maps(case.nuclei, boxes, list(case.tissue))
    totals = _totals(case.nuclei, maps, per)
    windows = []
    for column, row in sorted(tiles, key=lambda w: (w[1], w[0])):
        mine = [box for box in boxes if _window_of(box) == (column, row)]
        square = (cell[0] * per + column, cell[1] * per + row)
        windows.append(_call(square, mine, totals[row * per + column], classifier))
    whole = _call(cell, boxes, totals.sum(axis=0), classifier)
    if len(boxes) < LEAST_TILES:
        whole = SquareCall(cell, None, "little_tissue")
    return tuple(windows), whole


def _window_of(box: TileBox) -> Square:
    return int(box.left // WINDOW_UM), int(box.top // WINDOW_UM)


def _totals(nuclei: Nuclei, maps: NestMaps, per: int) -> F64:
    """Return the sums of each window of the cell, shape (per², 6), as in `Layout.blocks`."""
    height, width = maps.nest.shape
    rows = ((maps.top + GRID_UM * np.arange(height)) // WINDOW_UM).clip(0, per - 1)
    columns = ((maps.left + GRID_UM * np.arange(width)) // WINDOW_UM).clip(0, per - 1)
    group: npt.NDArray[np.int64] = (rows[:, None] * per + columns[None]).astype(np.int64)
    return sums_by(group, per * per, nuclei, maps, cells_of(nuclei, maps))


def _call(
    square: Square, boxes: list[TileBox], total: F64, classifier: NucleiClassifier
) -> SquareCall:
    if not large_enough(boxes, int(total[5])):
        return SquareCall(square, None, "few_nuclei")
    phenotype, _ = call_of(total, classifier.constants.correction)
    return SquareCall(square, phenotype, None if phenotype else "no_nests")
