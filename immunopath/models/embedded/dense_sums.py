"""Cells of a dense pass added up to the numbers of their slide."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from immunopath.domain.heat import CELL_UM, TILE_UM, WINDOW_UM, SlideHeat, SquareCounts
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.provenance import Provenance
from immunopath.imaging.tiles import Box
from immunopath.models.embedded.cautions import fits_resolution, spot_warnings
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.dense_cell import (
    AREA_STEP_UM2,
    AREA_STEPS,
    CellCounts,
    TileCount,
)
from immunopath.models.embedded.dense_layout import SquareCall
from immunopath.models.embedded.dense_plan import DensePlan
from immunopath.models.embedded.density import I64, WORK_MPP
from immunopath.models.embedded.fields import MIN_NUCLEI
from immunopath.models.embedded.scale import Energy, coarse_to_fine
from immunopath.models.embedded.shares import corrected

ENGINE: Final = "embedded-predictor"
PREPROCESS: Final = "dense pass, stain of full windows of the slide"
LEAST_TISSUE: Final = 0.25
"""Of a tile for the densest one: a corner with one lymphocyte is not a hot spot."""


@dataclass(frozen=True)
class DenseSlide:
    """What was found, with the squares that a map needs.

    tiles: those with tissue by the thumbnail, in reading order of the cells, rejected ones
    included; windows: of 500 µm, without a phenotype where the resolution is not plausible.
    """

    plan: DensePlan
    tiles: tuple[TileCount, ...]
    windows: tuple[SquareCall, ...]
    summary: SlideHeat


class Sums:
    """Adds cells up."""

    def __init__(self) -> None:
        self.tiles: list[TileCount] = []
        self.windows: list[SquareCall] = []
        self.cells: list[SquareCall] = []
        self.areas: I64 = np.zeros(AREA_STEPS, np.int64)
        self.energies: list[Energy] = []
        self.spots: I64 = np.zeros(4, np.int64)
        self.read_s = self.work_s = 0.0

    def add(self, found: CellCounts) -> None:
        """Add one cell."""
        self.tiles += found.tiles
        self.windows += found.windows
        self.cells.append(found.cell)
        self.areas += found.areas
        self.energies.append(_pooled(found.energies))
        self.spots += np.array(found.spots, np.int64)
        self.read_s += found.read_s
        self.work_s += found.work_s

    def slide(self, plan: DensePlan, gain: float) -> DenseSlide:
        """Return the slide, read with this gain."""
        fits = fits_resolution(int(self.areas.sum()), self._median(), coarse_to_fine(self.energies))
        windows, cells = (
            [_withheld(call) for call in calls] if fits is False else calls
            for calls in (self.windows, self.cells)
        )
        summary = _summary(plan, self, (windows, cells), fits, gain)
        return DenseSlide(plan, tuple(self.tiles), tuple(windows), summary)

    def _median(self) -> float | None:
        """Return the median area, to half a pixel."""
        half = int(self.areas.sum() + 1) // 2
        if not half:
            return None
        return (int(np.searchsorted(self.areas.cumsum(), half)) + 0.5) * AREA_STEP_UM2


def _pooled(energies: Sequence[Energy]) -> Energy:
    return Energy(
        sum(e.pixels for e in energies),
        sum(e.fine for e in energies),
        sum(e.coarse for e in energies),
    )


def _withheld(call: SquareCall) -> SquareCall:
    """Return the square without its phenotype: the resolution is in doubt."""
    return (
        call
        if call.phenotype is None
        else replace(call, phenotype=None, without="implausible_scale")
    )


def _summary(
    plan: DensePlan,
    sums: Sums,
    squares: tuple[Sequence[SquareCall], Sequence[SquareCall]],
    fits: bool | None,
    gain: float,
) -> SlideHeat:
    measured = [tile for tile in sums.tiles if not tile.reason]
    nuclei = sum(tile.n_nuclei for tile in measured)
    found = sum(tile.n_lymphocytes for tile in measured)
    tissue = sum(tile.tissue_mm2 for tile in measured)
    raw = found / nuclei if nuclei >= MIN_NUCLEI else None
    classifier = shipped()
    fix = classifier.constants.correction
    densest, per_mm2 = _densest(measured)
    rejected = plan.plan.counts() + Counter(tile.reason for tile in sums.tiles if tile.reason)
    return SlideHeat(
        name=plan.name,
        sha256=plan.sha256,
        source=Provenance(
            engine=ENGINE,
            revision=classifier.constants.version,
            weights_digest=classifier.digest,
            mpp=WORK_MPP,
            mpp_source=plan.resolution.source.value,
            preprocess=PREPROCESS,
        ),
        tile_um=TILE_UM,
        gain=gain,
        grid=len(plan.plan.places),
        measured=len(measured),
        rejected=dict(sorted(rejected.items())),
        n_nuclei=nuclei,
        n_lymphocytes=found,
        tissue_mm2=tissue,
        lymphocytes_per_mm2=found / tissue if tissue > 0 else None,
        raw_share=raw,
        corrected_share=None
        if raw is None
        else float(corrected(np.array(raw), fix.floor, fix.ceiling)),
        densest=densest,
        densest_per_mm2=per_mm2,
        windows=_counted(WINDOW_UM, squares[0]),
        cells=_counted(CELL_UM, squares[1]),
        mpp_plausible=fits,
        warnings=spot_warnings(*(int(n) for n in sums.spots)),
    )


def _densest(tiles: Sequence[TileCount]) -> tuple[Box | None, float | None]:
    """Return the box and density of the densest tile, the first of equals."""
    able = [
        (tile.per_mm2, -index, tile.place.box)
        for index, tile in enumerate(tiles)
        if tile.per_mm2 is not None and tile.tissue_mm2 >= LEAST_TISSUE * TILE_UM**2 * 1e-6
    ]
    if not able:
        return None, None
    value, _, box = max(able)
    return box, value


def _counted(side_um: float, calls: Sequence[SquareCall]) -> SquareCounts:
    found = Counter(call.phenotype for call in calls)
    return SquareCounts(
        side_um=side_um,
        phenotypes={name: found[name] for name in FIELD_VALUES["immune_phenotype"] or ()},
        without=dict(sorted(Counter(c.without for c in calls if c.without).items())),
    )
