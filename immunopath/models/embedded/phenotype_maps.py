"""From the tiles of a case to maps of whole images: lymphoid share, nest-likeness, nuclei."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.domain.quality import TileSummary
from immunopath.domain.units import WORKING_MPP
from immunopath.models.embedded.phenotype_constants import Layout, PhenotypeModel
from immunopath.models.embedded.texture import (
    CELL_UM,
    CHANNELS,
    F32,
    FEATURES,
    block_features,
    cell_channels,
    stain_gain,
)
from immunopath.models.protocols import TileSource

BOOL = npt.NDArray[np.bool_]
BLOCK_MM2 = (CELL_UM / 1000.0) ** 2
"""Area that one map entry stands for: blocks overlap, steps do not."""


@dataclass(frozen=True)
class FieldMap:
    """Maps of one image on a grid of 12.5 µm, all of one shape (rows, columns).

    extent_um: height and width of the joined tiles; tissue: where an entry counts; share, nest:
    in [0, 1]; nuclei_per_mm2; is_nest: the engine's call after smoothing.
    """

    extent_um: tuple[float, float]
    tissue: BOOL
    share: F32
    nest: F32
    nuclei_per_mm2: F32
    is_nest: BOOL

    @property
    def tissue_mm2(self) -> float:
        """Area of the entries that count."""
        return float(self.tissue.sum()) * BLOCK_MM2

    @property
    def lymphoid_per_mm2(self) -> F32:
        """Share times nuclei, an estimate of lymphocyte-like nuclei per mm²."""
        return self.share * self.nuclei_per_mm2


@dataclass(frozen=True)
class _Placed:
    row: int
    column: int
    cells: F32


def field_maps(source: TileSource, model: PhenotypeModel) -> tuple[FieldMap, ...]:
    """Return the maps of every image that has accepted tiles, in image order.

    One stain gain serves the whole case, from its pooled tissue.
    """
    by_image: dict[int, list[_Placed]] = {}
    for tile in source.tiles:
        by_image.setdefault(tile.image_index, []).append(_cells_of(source, tile))
    gain = stain_gain([p.cells for placed in by_image.values() for p in placed])
    return tuple(_map_of(by_image[index], gain, model) for index in sorted(by_image))


def _cells_of(source: TileSource, tile: TileSummary) -> _Placed:
    """Return a tile's cells and where they lie: borders are rounded, so tiles join without gap."""
    x, y, width, height = (side * tile.mpp / CELL_UM for side in tile.box)
    row, column = round(y), round(x)
    rows, columns = round(y + height) - row, round(x + width) - column
    rgb = source.pixels(tile.tile_id, WORKING_MPP)
    return _Placed(row, column, cell_channels(rgb, rows, columns))


def _map_of(placed: Sequence[_Placed], gain: float, model: PhenotypeModel) -> FieldMap:
    top, left = min(p.row for p in placed), min(p.column for p in placed)
    bottom = max(p.row + p.cells.shape[0] for p in placed)
    right = max(p.column + p.cells.shape[1] for p in placed)
    canvas = np.zeros((bottom - top, right - left, len(CHANNELS)), np.float32)
    seen = np.zeros(canvas.shape[:2], bool)
    for p in placed:
        rows = slice(p.row - top, p.row - top + p.cells.shape[0])
        columns = slice(p.column - left, p.column - left + p.cells.shape[1])
        canvas[rows, columns], seen[rows, columns] = p.cells, True
    extent = ((bottom - top) * CELL_UM, (right - left) * CELL_UM)
    if min(canvas.shape[:2]) < 2:
        nothing = np.zeros((0, 0), np.float32)
        return FieldMap(extent, nothing > 0, nothing, nothing, nothing, nothing > 0)
    features = block_features(canvas, gain)
    whole = seen[:-1, :-1] & seen[1:, :-1] & seen[:-1, 1:] & seen[1:, 1:]
    layout = model.constants.layout
    tissue = whole & (features[..., FEATURES.index("tissue")] >= layout.block_tissue)
    share, nest, nuclei = model.heads(features)
    aligned = features[..., FEATURES.index("coherence")] >= layout.coherence_below
    nest = np.where(aligned, np.float32(0), nest)
    return FieldMap(extent, tissue, share, nest, nuclei, _nests(tissue, share, nest, layout))


def _nests(tissue: BOOL, share: F32, nest: F32, layout: Layout) -> BOOL:
    """Return where smoothed nest-likeness is high, lymphoid share is not, in patches of size."""
    side = (layout.smooth_blocks, layout.smooth_blocks)
    weight = tissue.astype(np.float32)
    covered = np.maximum(_mean(weight, side), 1e-6)
    likely = _mean(nest * weight, side) / covered >= layout.nest_likeness
    lymphoid = _mean(share * weight, side) / covered >= layout.nest_share_below
    found = (tissue & likely & ~lymphoid).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] * BLOCK_MM2 >= layout.min_nest_patch_mm2
    large[0] = False
    kept: BOOL = large[labels] if count > 1 else np.zeros(tissue.shape, bool)
    return kept


def _mean(plane: F32, side: tuple[int, int]) -> F32:
    return np.asarray(cv2.blur(plane, side, borderType=cv2.BORDER_CONSTANT))
