"""The dense pass over whole slides as a section: what was counted, by which engine, and in what."""

from typing import Final

from immunopath.domain.heat import HeatReport, SlideHeat, SquareCounts
from immunopath.domain.report import CaseReport
from immunopath.domain.sampling import MIN_CELLS
from immunopath.domain.words import counted
from immunopath.reporting.card_view import source_text
from immunopath.reporting.document import Block, Pair, Pairs, Para, Section
from immunopath.reporting.text import listed, share
from immunopath.reporting.words import is_share, quantity_name

FULL_PER_MM2: Final = 6000.0
"""Density at which the colour scale ends; it is the same for every slide, so that maps compare."""
PHENOTYPE_COLOURS: Final = {"inflamed": "#d55e00", "excluded": "#0072b2", "desert": "#f0e442"}
"""Okabe and Ito's colours: told apart with any colour vision, and by lightness alone."""

_NOTE = (
    "Counts of every tissue tile, descriptive of the slide and unvalidated. They take no part in "
    "the estimates from regions, in the agreement of the engines or in the guidance."
)
_NO_INTERVAL = (
    "There is no interval: nothing was sampled, and the engine's own error is in every number. "
    "False lymphocytes alone reach about 1,000 per mm²."
)
_CELLS = (
    "In the form of Lunit SCOPE IO (share of 1 mm² tiles that are inflamed), over all tissue of "
    "the slide, but by this engine's phenotype of a cell; Lunit's cut of 20 % does not apply."
)
_IMPLAUSIBLE = (
    "Nuclear size or texture does not fit the stated resolution, or the slide is out of focus: "
    "no phenotype is given and no density is to be trusted before the mpp is checked."
)
_WITHOUT: Final = {
    "little_tissue": "less than half of it measured",
    "few_nuclei": "too small or fewer than 100 nuclei",
    "no_nests": "no nests",
    "implausible_scale": "resolution in doubt",
}


def heat_sections(report: CaseReport) -> tuple[Section, ...]:
    """Return the section, or none for a case without a dense pass."""
    found = report.heat
    if found is None:
        return ()
    return (Section("heat", "Whole-slide heat", tuple(_blocks(report, found)), _NOTE),)


def _blocks(report: CaseReport, found: HeatReport) -> list[Block]:
    blocks: list[Block] = []
    for slide in found.slides:
        blocks.append(Pairs((*_rows(slide), *_beside(report, slide))))
        if slide.mpp_plausible is False:
            blocks.append(Para(_IMPLAUSIBLE))
        blocks += [Para(f"{slide.name}: {warning}") for warning in slide.warnings]
        said = f"{source_text(slide.source)}; gain of the stain {slide.gain:.2f}"
        blocks.append(Para(said, "quiet"))
    if found.slides:
        blocks += [Para(_NO_INTERVAL, "quiet"), Para(_CELLS, "quiet")]
    return [*blocks, *(Para(note) for note in found.notes)]


def _rows(slide: SlideHeat) -> tuple[Pair, ...]:
    rejected = tuple(f"{count:,} {reason}" for reason, count in slide.rejected.items())
    rest = f"of {slide.grid:,} on the grid; not measured: {listed(rejected)}"
    return (
        Pair(
            f"Measured of {slide.name}",
            f"{slide.measured:,} tiles of {slide.tile_um:g} µm with {slide.tissue_mm2:.3g} mm² of "
            "tissue",
            rest if slide.grid else "the image is smaller than one tile",
        ),
        _density(slide),
        _share(slide),
        _squares("1 mm² cells", slide.cells),
        _squares(f"Windows of {slide.windows.side_um:g} µm", slide.windows),
    )


def _density(slide: SlideHeat) -> Pair:
    label = "Lymphocyte-like nuclei per mm² of tissue"
    if slide.lymphocytes_per_mm2 is None:
        return Pair(label, "not known", "no tissue was measured", known=False)
    top = ""
    if slide.densest is not None and slide.densest_per_mm2 is not None:
        x, y, width, height = slide.densest
        top = (
            f"; densest tile {slide.densest_per_mm2:,.0f} at x {x}, y {y} px "
            f"({width} × {height} px of level 0)"
        )
    detail = f"{slide.n_lymphocytes:,} of {slide.n_nuclei:,} nuclei{top}"
    return Pair(label, f"{slide.lymphocytes_per_mm2:,.0f}", detail)


def _share(slide: SlideHeat) -> Pair:
    label = "Lymphocyte share of all nuclei of the slide"
    if slide.corrected_share is None or slide.raw_share is None:
        return Pair(label, "not known", "fewer than ten nuclei", known=False)
    detail = f"corrected for false lymphocytes; as counted {share(slide.raw_share)}"
    return Pair(label, share(slide.corrected_share), detail)


def _squares(label: str, squares: SquareCounts) -> Pair:
    without = tuple(f"{n:,} {_WITHOUT[reason]}" for reason, n in squares.without.items())
    rest = f"without a phenotype: {listed(without)}"
    if not squares.judged:
        return Pair(f"{label} by phenotype", "none has one", rest, known=False)
    shares = squares.shares
    shown = tuple(
        f"{name} {share(shares[name])} ({count:,})" if shares else f"{name} {count:,}"
        for name, count in squares.phenotypes.items()
    )
    few = "" if shares else f", too few for shares (they need {MIN_CELLS})"
    detail = f"n = {squares.judged:,}{few}; {rest}"
    return Pair(f"{label} by phenotype", listed(shown), detail)


def _beside(report: CaseReport, slide: SlideHeat) -> tuple[Pair, ...]:
    """Return the estimate from regions of the same slide, which stays the estimate."""
    sampled = report.sampling.estimates if report.sampling else ()
    return tuple(
        Pair(
            "The estimate from regions, for comparison"
            if is_share(found.quantity)
            else "The estimate from regions",
            f"{found.value:.2f} ({found.coverage:.0%} interval {found.interval[0]:.2f} to "
            f"{found.interval[1]:.2f})",
            f"{counted(found.n_regions, 'region')} weighted by area, of the case's predictor "
            f"({report.profile.til_fraction.source.engine}); it stays the slide's estimate"
            f"{_other(found.quantity)}",
        )
        for found in sampled
        if found.sha256 == slide.sha256
    )


def _other(quantity: str) -> str:
    """Return a warning where the estimate is no share of nuclei, as the heat is."""
    if is_share(quantity):
        return ""
    return f"; another quantity ({quantity_name(quantity)}): the two cannot be compared by value"
