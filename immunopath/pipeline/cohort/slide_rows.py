"""What the tables of a cohort say of whole slides: a row per slide and number."""

from collections.abc import Iterator

from immunopath.domain.cohort import SHARE_UNIT, SlideSummary
from immunopath.domain.heat import SlideHeat
from immunopath.domain.report import CaseReport
from immunopath.domain.sampling import MIN_CELLS, PhenotypeShares, SlideEstimate, SlideSampling
from immunopath.domain.words import counted
from immunopath.guidelines.phenotype_shares import QUANTITY
from immunopath.reporting.cohort_tables import NUMBER_UNIT
from immunopath.reporting.words import is_share

TIL = "slide_til_share"
OTHER_REGIONS = "reading other regions of the slide; the engine's own error is not in it"
OTHER_CELLS = "drawing other cells of the slide; the engine's own error is not in it"
ALL_TILES = "_all_tiles"
"""End of the names of what a dense pass counted in every tissue tile."""
PER_MM2 = "per mm² of tissue"
LYMPHOCYTE_SHARE = "lymphocyte_share_of_nuclei"
LYMPHOCYTE_DENSITY = "lymphocyte_like_nuclei_per_mm2"
NO_ESTIMATE = "fewer than four regions have a value by the predictor"


def slide_summaries(report: CaseReport) -> tuple[SlideSummary, ...]:
    """Return the rows of every slide that was read by regions, then those of a dense pass.

    What has no value says why.
    """
    dense = report.heat.slides if report.heat else ()
    return (*_sampled(report), *(row for slide in dense for row in _dense(slide)))


def _sampled(report: CaseReport) -> Iterator[SlideSummary]:
    found = report.sampling
    if found is None:
        return
    estimates = {estimate.sha256: estimate for estimate in found.estimates}
    shares = {cells.sha256: cells for cells in found.phenotypes}
    notes = iter(found.notes)  # one for each slide without shares, in the order of the slides
    source = report.profile.til_fraction.source
    engine = f"{source.engine} {source.revision}"
    for slide in found.slides:
        yield _estimate(slide, estimates.get(slide.sha256), engine)
        own = shares.get(slide.sha256)
        reason = next(notes, NO_ESTIMATE) if own is None else ""
        yield from _cells(slide, own, engine, reason)


def _estimate(slide: SlideSampling, found: SlideEstimate | None, engine: str) -> SlideSummary:
    base = {"slide": slide.name, "slide_sha256": slide.sha256, "field": TIL, "engine": engine}
    if found is None:
        return SlideSummary(**base, quantity="undeclared", value=None, reason=NO_ESTIMATE)
    return SlideSummary(
        **base,
        quantity=found.quantity,
        unit=SHARE_UNIT if is_share(found.quantity) else NUMBER_UNIT,
        value=found.value,
        low=found.interval[0],
        high=found.interval[1],
        coverage=found.coverage,
        interval_of=OTHER_REGIONS,
        first_round=found.first_round_value,
        n_places=found.n_regions,
    )


def _cells(
    slide: SlideSampling, found: PhenotypeShares | None, engine: str, reason: str
) -> Iterator[SlideSummary]:
    base = {"slide": slide.name, "slide_sha256": slide.sha256, "engine": engine}
    if found is None:
        yield SlideSummary(
            **base, field=cell_field("inflamed"), quantity=QUANTITY, value=None, reason=reason
        )  # fmt: skip
        return
    for name, value in found.shares.items():
        low, high = found.inflamed_interval if name == "inflamed" else (None, None)
        yield SlideSummary(
            **base,
            field=cell_field(name),
            quantity=found.quantity,
            value=value,
            low=low,
            high=high,
            coverage=None if low is None else found.coverage,
            interval_of="" if low is None else OTHER_CELLS,
            first_round=value,
            n_places=found.n_cells,
        )


def cell_field(phenotype: str) -> str:
    """Return the name of the share of 1 mm² cells of a phenotype."""
    return f"slide_{phenotype}_share_1mm2"


def _dense(slide: SlideHeat) -> Iterator[SlideSummary]:
    """Yield share, density and shares of cells over all tissue tiles: no interval, no sample."""
    engine = f"{slide.source.engine} {slide.source.revision}"
    base = {"slide": slide.name, "slide_sha256": slide.sha256, "engine": engine}
    share, density = slide.corrected_share, slide.lymphocytes_per_mm2
    cells: dict[str, float | None] = {**slide.cells.shares}
    few = f"{counted(slide.cells.judged, 'cell')} with a phenotype; shares need {MIN_CELLS}"
    yield SlideSummary(
        **base, field=f"{TIL}{ALL_TILES}", quantity=LYMPHOCYTE_SHARE, value=share,
        n_places=slide.measured, reason="" if share is not None else "fewer than ten nuclei",
    )  # fmt: skip
    yield SlideSummary(
        **base, field=f"slide_lymphocytes_per_mm2{ALL_TILES}", quantity=LYMPHOCYTE_DENSITY,
        value=density, n_places=slide.measured, unit=PER_MM2,
        reason="" if density is not None else "no tissue was measured",
    )  # fmt: skip
    for name, value in (cells or {"inflamed": None}).items():
        yield SlideSummary(
            **base, field=f"{cell_field(name)}{ALL_TILES}", quantity=QUANTITY, value=value,
            n_places=slide.cells.judged, reason="" if cells else few,
        )  # fmt: skip
