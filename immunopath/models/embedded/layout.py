"""How lymphocytes lie against tumour nests, on a 10 µm grid.

Nests are where large round other nuclei are dense. Without nests there is no phenotype: normal
lung and a lymphoid follicle are neither desert nor inflamed. The Morisita-Horn index is reported
and decides nothing (real excluded fields score as low as 0.33 and as high as 0.59).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.classifier import Correction
from immunopath.models.embedded.density import BOOL, F32, blur
from immunopath.models.embedded.looks import TileBox
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.nuclei import CaseNuclei
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
MIN_NEST_MM2 = 0.01
"""A nest smaller than 100 x 100 µm is below what a blur of 25 µm can place."""
CELLULAR_PER_MM2 = 500.0
"""Below this density of nuclei a cell of the grid is glass or bare matrix and counts nowhere."""
CELL_TISSUE = 0.3
"""Share of tissue pixels below which a cell is glass, whatever lies around it; no nest there."""
DESERT_SHARE = 0.12
DESERT_IN_NEST, DESERT_OUTSIDE = 2000.0, 2500.0
EXCLUDED_RATIO = 0.4

F64 = npt.NDArray[np.float64]
_CELL_MM2 = GRID_UM**2 * 1e-6
_BLOCK_CELLS = round(BLOCK_UM / GRID_UM)


@dataclass(frozen=True)
class Layout:
    """The layout of a case.

    phenotype: inflamed, excluded, desert, or None with `reason`. in_nest: one per nucleus.
    blocks: (k, 6) counts per 100 µm block of the usable images: lymphocytes in nests, mm² of
    nests, lymphocytes outside, mm² outside, lymphocytes, nuclei. Areas are of tissue pixels, so
    that nests are never larger than the tissue. Densities per mm², None without area; corrected
    by nothing.
    """

    phenotype: str | None
    reason: str
    in_nest: BOOL
    blocks: F64
    nest_mm2: float | None
    density_in_nests: float | None
    density_outside: float | None
    morisita_horn: float | None
    by_image: Mapping[int, str] = field(default_factory=dict)
    """Phenotype of each image that has one of its own."""


@dataclass(frozen=True)
class _Maps:
    nest: BOOL
    outside: BOOL
    tissue_um2: F64
    left: float
    top: float


def analyse_layout(case: CaseNuclei, correction: Correction) -> Layout:
    """Return the layout over all images of a case that are large enough."""
    in_nest = np.zeros(len(case.nuclei), np.bool_)
    blocks, counts, nest_um2 = [], [], 0.0
    by_image: dict[int, str] = {}
    for image_index in sorted({b.image_index for b in case.boxes}):
        boxes = [b for b in case.boxes if b.image_index == image_index]
        mine = case.image_index == image_index
        if not _large_enough(boxes, int(mine.sum())):
            continue
        nuclei = case.nuclei.take(mine)
        maps = _nest_maps(nuclei, boxes, [g for g in case.tissue if g.image_index == image_index])
        row, column = _cells(nuclei, maps)
        in_nest[mine] = maps.nest[row, column]
        nest_um2 += float(maps.tissue_um2[maps.nest].sum())
        blocks.append(_block_table(nuclei, maps, row, column))
        own, _ = _call(blocks[-1].sum(axis=0), correction)
        if own is not None:
            by_image[image_index] = own
        counts.append(_square_counts(nuclei, maps))
    if not blocks:
        reason = (
            "The layout needs a field at least 200 µm across with 0.04 mm² and 100 nuclei; "
            "none is that large."
        )
        return Layout(None, reason, in_nest, np.zeros((0, 6)), None, None, None, None)
    table = np.concatenate(blocks)
    table = table[table[:, 5] + table[:, 1] + table[:, 3] > 0]
    total = table.sum(axis=0)
    overlap = morisita_horn(np.concatenate(counts, axis=1))
    inside = float(total[0] / total[1]) if total[1] > 0 else None
    outside = float(total[2] / total[3]) if total[3] > 0 else None
    value, reason = _call(total, correction)
    return Layout(
        value, reason, in_nest, table, nest_um2 * 1e-6, inside, outside, overlap, by_image
    )


def _call(total: F64, correction: Correction) -> tuple[str | None, str]:
    """Return the phenotype of the sums over a case, or None with the reason."""
    if total[1] < MIN_NEST_MM2:
        return None, (
            "No tumour nests were found: without them a field is neither inflamed, excluded nor "
            "desert (normal lung and lymphoid follicles look alike)."
        )
    return str(decide(total[None], np.array([correction.floor]), correction.ceiling)[0]), ""


def decide(totals: F64, floor: F64, ceiling: float | F64) -> npt.NDArray[np.str_]:
    """Return the phenotype of each row of `totals`, shape (n, 6) as `Layout.blocks`.

    Desert: corrected share below 0.12, or fewer than 2000 lymphocytes per mm² in nests and 2500
    outside (false lymphocytes alone reach about 1000). Excluded: less than 0.4 times as dense in
    nests as outside. Else inflamed.
    """
    share = np.clip((totals[:, 4] / np.maximum(totals[:, 5], 1) - floor) / (ceiling - floor), 0, 1)
    inside = totals[:, 0] / np.maximum(totals[:, 1], _CELL_MM2)
    outside = totals[:, 2] / np.maximum(totals[:, 3], _CELL_MM2)
    desert = (share < DESERT_SHARE) | ((inside < DESERT_IN_NEST) & (outside < DESERT_OUTSIDE))
    excluded = inside < EXCLUDED_RATIO * outside
    return np.where(desert, "desert", np.where(excluded, "excluded", "inflamed"))


def morisita_horn(counts: F64) -> float | None:
    """Return the Morisita-Horn overlap in [0, 1] of two rows of counts; None if one is empty."""
    first, second = counts[0], counts[1]
    a, b = first.sum(), second.sum()
    if a == 0 or b == 0:
        return None
    spread = (first**2).sum() / a**2 + (second**2).sum() / b**2
    return float(min(2 * (first * second).sum() / (spread * a * b), 1.0))


def _large_enough(boxes: list[TileBox], n_nuclei: int) -> bool:
    width = max(b.left + b.width for b in boxes) - min(b.left for b in boxes)
    height = max(b.top + b.height for b in boxes) - min(b.top for b in boxes)
    area = sum(b.width * b.height for b in boxes) * 1e-6
    # Half a pixel of slack: 200 µm rounded to source pixels is still 200 µm.
    side = min(width, height) + 0.5
    return side >= MIN_SIDE_UM and area * 1.005 >= MIN_FIELD_MM2 and n_nuclei >= MIN_NUCLEI


def _nest_maps(nuclei: Nuclei, boxes: list[TileBox], tissue: list[TissueGrid]) -> _Maps:
    """Return where nests and other cellular tissue lie, on a grid over the image's tiles."""
    top, left = (GRID_UM * np.floor(min(v) / GRID_UM) for v in _starts(boxes))
    covered = _covered(boxes, top, left)
    shape = (covered.shape[0], covered.shape[1])
    um2 = paste(tissue, round(top / GRID_UM), round(left / GRID_UM), shape)
    solid = (covered > 0) & (um2 >= CELL_TISSUE * GRID_UM**2)
    sigma = SIGMA_UM / GRID_UM
    weight = np.maximum(blur(covered, sigma), 1e-3)
    row, column = _cells(nuclei, _Maps(solid, solid, um2, left, top))

    def density(chosen: BOOL) -> F32:
        cells = row[chosen] * shape[1] + column[chosen]
        grid = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        smooth = blur(grid.astype(np.float32), sigma) / (weight * np.float32(_CELL_MM2))
        return smooth.astype(np.float32, copy=False)

    other = ~nuclei.is_lymphocyte
    large = (nuclei.area_um2 > LARGE_ROUND_UM2) & (nuclei.axis_ratio > ROUND_RATIO)
    tumour, lymphocytes = density(other & large), density(nuclei.is_lymphocyte)
    nest = (tumour > NEST_PER_MM2) & (tumour > lymphocytes) & solid
    cellular = density(np.ones(len(nuclei), np.bool_)) > CELLULAR_PER_MM2
    return _Maps(nest, cellular & ~nest & solid, um2, left, top)


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


def _cells(nuclei: Nuclei, maps: _Maps) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return grid row and column of each nucleus."""
    row = ((nuclei.y_um - maps.top) / GRID_UM).astype(np.int64)
    column = ((nuclei.x_um - maps.left) / GRID_UM).astype(np.int64)
    height, width = maps.nest.shape
    return np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)


def _block_table(
    nuclei: Nuclei, maps: _Maps, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]
) -> F64:
    """Return the counts of each 100 µm block, columns as in `Layout.blocks`."""
    height, width = maps.nest.shape
    per_row = -(-width // _BLOCK_CELLS)
    n = per_row * -(-height // _BLOCK_CELLS)
    cell_y, cell_x = np.mgrid[:height, :width] // _BLOCK_CELLS
    cell_block = (cell_y * per_row + cell_x).ravel()
    block = (row // _BLOCK_CELLS) * per_row + column // _BLOCK_CELLS
    lym, nest = nuclei.is_lymphocyte, maps.nest[row, column]
    outside = maps.outside[row, column]

    def count(which: npt.NDArray[np.int64], mask: BOOL) -> F64:
        return np.bincount(which, weights=mask, minlength=n).astype(np.float64)

    def area(cells: BOOL) -> F64:
        um2 = np.where(cells, maps.tissue_um2, 0.0).ravel()
        return np.bincount(cell_block, weights=um2, minlength=n).astype(np.float64) * 1e-6

    everything = np.ones(len(nuclei), np.bool_)
    return np.stack(
        [
            count(block, lym & nest),
            area(maps.nest),
            count(block, lym & outside),
            area(maps.outside),
            count(block, lym),
            count(block, everything),
        ],
        axis=1,
    )


def _square_counts(nuclei: Nuclei, maps: _Maps) -> F64:
    """Return counts of lymphocytes and others per 50 µm square, shape (2, k)."""
    row = ((nuclei.y_um - maps.top) / SQUARE_UM).astype(np.int64)
    column = ((nuclei.x_um - maps.left) / SQUARE_UM).astype(np.int64)
    square = row * (int(column.max(initial=0)) + 1) + column
    n = int(square.max(initial=0)) + 1
    lym = nuclei.is_lymphocyte
    return np.stack([np.bincount(square[m], minlength=n) for m in (lym, ~lym)]).astype(np.float64)
