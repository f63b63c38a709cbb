"""How the slides of a case were sampled, and what their regions say of the whole, as blocks."""

from immunopath.domain.quality import ImageSummary
from immunopath.domain.report import CaseReport
from immunopath.domain.sampling import (
    PhenotypeShares,
    SamplingReport,
    SamplingRound,
    SlideEstimate,
    SlideSampling,
)
from immunopath.domain.words import counted
from immunopath.reporting.document import Block, Grid, Pair, Pairs, Para, Section
from immunopath.reporting.image_view import resolution
from immunopath.reporting.text import listed, plain_name, share
from immunopath.reporting.words import slide_name

_NOTE = "All regions are chosen by fixed rules, none is drawn at random."
_HAND = "A person picked what was read; no rule and no engine did."
_NO_SLIDE = "Nothing here is an estimate of the slide."
_ESTIMATE = (
    "Each region stands for the tissue nearest to it, in place and in how dark it looks on the "
    "thumbnail, so what was read more closely weighs no more. The interval is that of reading "
    "other regions; the engine's own error comes on top."
)
_CELLS = (
    "In the form of Lunit SCOPE IO (share of 1 mm² tiles that are inflamed), but by this engine's "
    "phenotype and from the part of a cell that was read; Lunit's cut of 20 % does not apply."
)


def sampling_sections(report: CaseReport) -> tuple[Section, ...]:
    """Return the section, or none for a case without slides."""
    found = report.sampling
    if found is None:
        return _picked(report)
    blocks: list[Block] = [
        Pairs((*(_read(slide) for slide in found.slides), _stopped(found))),
        Grid("Rounds", ("Round", "Regions", "Why"), tuple(map(_round, enumerate(found.rounds, 1)))),
    ]
    if found.estimates:
        blocks += [Pairs(tuple(map(_estimate, found.estimates))), Para(_ESTIMATE, "quiet")]
    if found.phenotypes:
        blocks += [Pairs(tuple(map(_cells, found.phenotypes))), Para(_CELLS, "quiet")]
    blocks += [Para(note, "quiet") for note in found.notes]
    return (Section("sampling", "Sampling of the slides", tuple(blocks), _NOTE),)


def _picked(report: CaseReport) -> tuple[Section, ...]:
    """Return the section on regions that a person picked, or none."""
    picked = [image for image in report.images if image.picked and image.region]
    if not picked:
        return ()
    headers = ("Region", "x", "y", "Width", "Height", "Side", "Scale")
    grid = Grid("In level-0 pixels of the slide", headers, tuple(map(_place, picked)))
    blocks = (Para(_HAND, "lead"), grid)
    return (Section("sampling", "Regions picked by hand", blocks, _NO_SLIDE),)


def _place(image: ImageSummary) -> tuple[str, ...]:
    _, _, width, height = box = image.region or (0, 0, 0, 0)
    side = f"{width * image.mpp:.0f} × {height * image.mpp:.0f} µm"
    return (image.name, *map(str, box), side, resolution(image))


def _read(slide: SlideSampling) -> Pair:
    read = counted(len(slide.strata), "region")
    text = f"{read} of {slide.candidates} with tissue, {slide.side_um:.0f} µm a side"
    return Pair(slide.name, text)


def _stopped(found: SamplingReport) -> Pair:
    budget = (
        f"budget: {counted(found.budget.rounds, 'further round')}, "
        f"{counted(found.budget.regions, 'region')} in all of them"
    )
    return Pair("Stopped because", found.stop_reason, budget)


def _round(numbered: tuple[int, SamplingRound]) -> tuple[str, ...]:
    number, visit = numbered
    return str(number), str(len(visit.images)), visit.because


def _estimate(found: SlideEstimate) -> Pair:
    low, high = found.interval
    alone = found.first_round_value
    first = "without a value" if alone is None else f"{alone:.2f}"
    return Pair(
        f"{slide_name(found.quantity)} of {found.name}, weighted by area",
        f"{found.value:.2f} ({found.coverage:.0%} interval {low:.2f} to {high:.2f})",
        f"{plain_name(found.quantity)}; {counted(found.n_regions, 'region')}; "
        f"the first, evenly spread ones alone {first}",
    )


def _cells(found: PhenotypeShares) -> Pair:
    low, high = found.inflamed_interval
    return Pair(
        f"Cells of 1 mm² of {found.name}",
        listed(tuple(f"{name} {share(value)}" for name, value in found.shares.items())),
        f"n = {found.n_cells}, {found.n_unjudged} more without a phenotype; {found.seen_mm2:g} mm² "
        f"read of each; inflamed {share(low)} to {share(high)} at {found.coverage:.0%}; "
        f"{plain_name(found.quantity)}",
    )
