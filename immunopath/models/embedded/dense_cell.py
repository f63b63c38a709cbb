"""One square millimetre of a slide, read once: its tiles judged, their nuclei counted, its layout.

Sixteen tiles of 250 µm are a cell, four a window. A cell is read as one block with 32 µm around it,
so every tile is seen with its true surroundings; a nucleus belongs to the tile that holds its
point, and the layout of a cell is judged on that cell alone. White point and gain are the slide's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from immunopath.domain.heat import TILE_UM
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.mask import TissueMask
from immunopath.imaging.slides.plan import TileRules
from immunopath.imaging.slides.reading import judge_tile, opened_slide
from immunopath.imaging.slides.slide import Slide
from immunopath.imaging.tiles import Box
from immunopath.models.embedded.cautions import crowded_windows
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.dense_block import BlockPixels, read_block, tile_id
from immunopath.models.embedded.dense_layout import PER_CELL, Square, SquareCall, square_calls
from immunopath.models.embedded.density import F32, I64, WORK_MPP, Workspace
from immunopath.models.embedded.looks import Stain, TileBox
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.nuclei import CaseNuclei, nuclei_of
from immunopath.models.embedded.scale import Energy

AREA_STEP_UM2, AREA_STEPS = WORK_MPP**2, 2000
"""Bins for the median nuclear area of a whole slide: one pixel wide, up to 500 µm²."""


@dataclass(frozen=True)
class CellJob:
    """What a process needs for one cell; everything pickles.

    mask: glass and threshold of the slide, its maps may be empty; bounds: the scanned part; white,
    gain: the slide's stain; clock: measures what the time goes to, None = nothing is measured.
    """

    path: Path
    stated_mpp: float | None
    rules: TileRules
    mask: TissueMask
    bounds: Box
    cell: Square
    places: tuple[GridTile, ...]
    white: F32
    gain: float
    clock: Callable[[], float] | None = None


@dataclass(frozen=True)
class TileCount:
    """One tile; `reason` is why it was not measured, and then the counts are 0."""

    place: GridTile
    reason: str = ""
    n_nuclei: int = 0
    n_lymphocytes: int = 0
    tissue_mm2: float = 0.0

    @property
    def per_mm2(self) -> float | None:
        """Lymphocyte-like nuclei per mm² of tissue; None when it was not measured."""
        return None if self.reason or not self.tissue_mm2 else self.n_lymphocytes / self.tissue_mm2


@dataclass(frozen=True)
class CellCounts:
    """What one cell adds to the slide.

    areas: nuclei by area in steps of one pixel; spots: pigment, candidates, crowded and dense
    windows (see `cautions.spot_warnings`); read_s, work_s: seconds, 0 without a clock.
    """

    tiles: tuple[TileCount, ...]
    windows: tuple[SquareCall, ...]
    cell: SquareCall
    areas: I64
    energies: tuple[Energy, ...]
    spots: tuple[int, int, int, int]
    read_s: float
    work_s: float


def count_cell(job: CellJob) -> CellCounts:
    """Return `count_on` for a process of its own, which keeps its slide and buffers."""
    return count_on(opened_slide(job.path, job.stated_mpp), job, _buffers())


def count_on(slide: Slide, job: CellJob, work: Workspace) -> CellCounts:
    """Read, judge and count one cell; raises `ImageReadError` for a damaged slide.

    slide: that of the job; slide and buffers serve one thread.
    """
    clock = job.clock or (lambda: 0.0)
    start = clock()
    source = read_block(slide, job.places, job.bounds)
    read_s = clock() - start
    reasons = [_reason(job, place, source) for place in job.places]
    kept = [place for place, reason in zip(job.places, reasons, strict=True) if not reason]
    boxes = tuple(_box(place, job.cell) for place in kept)
    classifier, stain = shipped(), Stain({0: job.white}, job.gain)
    case = _by_place(nuclei_of(source, boxes, stain, classifier, work))
    counted = _counts(case, kept)
    tiles = tuple(
        TileCount(place, reason) if reason else next(counted)
        for place, reason in zip(job.places, reasons, strict=True)
    )
    windows, cell = square_calls(case, job.cell, classifier)
    return CellCounts(
        tiles=tiles,
        windows=windows,
        cell=cell,
        areas=_areas(case.nuclei),
        energies=case.energies,
        spots=(case.n_pigment, case.n_candidates, *crowded_windows(case)),
        read_s=read_s,
        work_s=clock() - start - read_s,
    )


def _reason(job: CellJob, place: GridTile, source: BlockPixels) -> str:
    rgb = source.pixels(tile_id(place), WORK_MPP)
    return judge_tile(job.rules, job.mask, place, rgb)[0]


def _box(place: GridTile, cell: Square) -> TileBox:
    """Return a tile in µm of its cell."""
    column, row = place.column - cell[0] * PER_CELL, place.row - cell[1] * PER_CELL
    return TileBox(tile_id(place), 0, column * TILE_UM, row * TILE_UM, TILE_UM, TILE_UM)


def _by_place(case: CaseNuclei) -> CaseNuclei:
    """Give every nucleus to the tile that its point lies in, and leave out those in none.

    Tiles report nuclei up to 1 µm beyond their border, so that none is lost between two of them.
    """
    owner = np.full((PER_CELL + 2, PER_CELL + 2), -1, np.int64)
    for index, box in enumerate(case.boxes):
        owner[round(box.top / TILE_UM) + 1, round(box.left / TILE_UM) + 1] = index
    row, column = (
        np.floor(values / TILE_UM).astype(np.int64).clip(-1, PER_CELL) + 1
        for values in (case.nuclei.y_um, case.nuclei.x_um)
    )
    tile_index = owner[row, column]
    keep = tile_index >= 0
    return replace(
        case,
        nuclei=case.nuclei.take(keep),
        image_index=case.image_index[keep],
        tile_index=tile_index[keep],
    )


def _counts(case: CaseNuclei, places: Sequence[GridTile]) -> Iterator[TileCount]:
    k = len(places)
    every = np.bincount(case.tile_index, minlength=k)
    found = np.bincount(case.tile_index, weights=case.nuclei.is_lymphocyte, minlength=k)
    for index, place in enumerate(places):
        tissue = float(case.tissue[index].um2.sum()) * 1e-6
        yield TileCount(place, "", int(every[index]), int(found[index]), tissue)


def _areas(nuclei: Nuclei) -> I64:
    steps = np.minimum((nuclei.area_um2 / AREA_STEP_UM2).astype(np.int64), AREA_STEPS - 1)
    return np.bincount(steps, minlength=AREA_STEPS).astype(np.int64)


@cache
def _buffers() -> Workspace:
    """Return the buffers of this process; it counts one cell at a time."""
    return Workspace()
