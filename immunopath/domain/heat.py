"""What a dense pass found in every tissue tile of a slide: counts of the slide, not an estimate."""

from typing import Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.provenance import Provenance
from immunopath.domain.sampling import MIN_CELLS

TILE_UM, WINDOW_UM, CELL_UM = 250.0, 500.0, 1000.0
"""Sides of the squares: 16 tiles are a cell of exactly 1 mm², four a window."""

NoPhenotype = Literal["little_tissue", "few_nuclei", "no_nests", "implausible_scale"]
"""Why a window or cell has no phenotype: too little of it was measured, fewer than 100 nuclei or
200 µm across, no nests of large round nuclei, or nuclei that speak against the resolution."""


class SquareCounts(Frozen):
    """Squares of one size by their phenotype, and those without one by the reason."""

    side_um: float
    phenotypes: dict[str, int]
    """Over inflamed, excluded and desert."""
    without: dict[str, int] = Field(default_factory=dict)
    """By `NoPhenotype`."""

    @property
    def judged(self) -> int:
        """Squares with a phenotype."""
        return sum(self.phenotypes.values())

    @property
    def shares(self) -> dict[str, float]:
        """Share of each phenotype among the judged squares; empty below `MIN_CELLS` of them."""
        n = self.judged
        if n < MIN_CELLS:
            return {}
        return {name: count / n for name, count in self.phenotypes.items()}


class SlideHeat(Frozen):
    """One slide, read once in all of its tissue by one engine.

    There is no interval: nothing was sampled. The error of the engine is in every number.
    """

    name: str
    sha256: str
    source: Provenance
    tile_um: float
    gain: float = Field(gt=0)
    """Of the stain, by which the engine reads the slide: it rests on the nuclei that the slide has,
    so densities of slides with unlike gains compare with care."""
    grid: int
    """Places of the grid; those without tissue are glass."""
    measured: int
    rejected: dict[str, int]
    """Places by the reason why they were not measured, glass included."""
    n_nuclei: int
    n_lymphocytes: int
    tissue_mm2: float
    """Tissue of the measured tiles."""
    lymphocytes_per_mm2: float | None
    raw_share: float | None = Field(default=None, ge=0, le=1)
    """Lymphocyte-like nuclei over all nuclei, as counted."""
    corrected_share: float | None = Field(default=None, ge=0, le=1)
    """The same, corrected for the floor of false lymphocytes: `til_fraction` of the whole slide."""
    densest: tuple[int, int, int, int] | None
    """Box of the tile with most lymphocytes per mm² of tissue, in level-0 pixels."""
    densest_per_mm2: float | None
    windows: SquareCounts
    cells: SquareCounts
    """Cells of 1 mm²; one counts from half of its tiles on."""
    mpp_plausible: bool | None
    """False when nuclear size or structure speaks against the resolution: no phenotypes then."""
    warnings: tuple[str, ...] = ()


class HeatReport(Frozen):
    """The dense pass over the slides of a case; asked for, never done by itself."""

    slides: tuple[SlideHeat, ...]
    notes: tuple[str, ...] = ()
    """Which slides could not be read through, and why."""
