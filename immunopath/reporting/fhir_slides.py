"""What is said of whole slides: RiskAssessments again.

Per slide the TIL fraction weighted by area (in percent where it is a share of nuclei, without a
unit where it is a score of RNA), and the shares of its 1 mm² cells by phenotype. Neither is a
probability, so there is no ``probabilityDecimal``: value and interval are extensions
of their own (``slide-share``, ``slide-share-interval``), not those of the predicted fields, which
pool what was read. The basis are the regions of that slide that the number rests on.
"""

from collections.abc import Iterable

from immunopath.domain.sampling import PhenotypeShares, SlideEstimate, SlideSampling
from immunopath.domain.words import counted
from immunopath.reporting.fhir_base import (
    Draft,
    Json,
    concept,
    extension,
    local_coding,
    note,
    plain,
    quantity,
)
from immunopath.reporting.fhir_engine import add_engine
from immunopath.reporting.text import share
from immunopath.reporting.words import is_share, quantity_name, slide_name

UNVALIDATED = "Estimated from H&E, unvalidated, research use only; descriptive of the slide."
TIL, CELLS = "slide_til_share", "slide_phenotype_share_1mm2"
_OTHER_REGIONS = (
    "The interval is that of having read other regions of the slide; the engine's own error is not "
    "in it. Regions are spread by a fixed rule, some chosen by darkness or by what others showed; "
    "none is drawn at random."
)
_NO_IIP = (
    "In the form of Lunit SCOPE IO (share of 1 mm² tiles), but by this engine's phenotype of the "
    "part of a cell that was read; Lunit's cut of 20 % does not apply, this is no IIP."
)


def add_slides(draft: Draft) -> None:
    """Add what the sampling of slides has estimated; nothing for a case without slides."""
    found = draft.report.sampling
    if found is None:
        return
    slides = {slide.sha256: slide for slide in found.slides}
    for number, estimate in enumerate(found.estimates):
        _estimate(draft, number, estimate)
    for number, cells in enumerate(found.phenotypes):
        _cells(draft, number, cells, slides.get(cells.sha256))


def _estimate(draft: Draft, number: int, found: SlideEstimate) -> None:
    first, name = found.first_round_value, slide_name(found.quantity)
    row = _row(
        f"{name} of the slide {found.name}, weighted by area",
        found.value,
        f"{quantity_name(found.quantity)}, each region weighted by the tissue it stands for",
        found.interval,
        found.coverage,
        percent=is_share(found.quantity),
    )
    said = (
        _OTHER_REGIONS,
        f"Rests on {counted(found.n_regions, 'region')}; the evenly spread ones of the first "
        f"round alone "
        f"give {'no value' if first is None else share(first)}.",
    )
    title = f"{name} of a slide, estimated from H&E: {found.name}"
    _add(draft, f"risk/slide-share/{number}", title, TIL, [row], said, tuple(found.variances))


def _cells(draft: Draft, number: int, found: PhenotypeShares, slide: SlideSampling | None) -> None:
    rows = [
        _row(
            f"1 mm² cells of the slide {found.name} that are {name}",
            value,
            quantity_name(found.quantity),
            found.inflamed_interval if name == "inflamed" else None,
            found.coverage,
        )
        for name, value in found.shares.items()
    ]
    said = (
        _NO_IIP,
        f"{counted(found.n_cells, 'cell')} with a phenotype, {found.n_unjudged} without; "
        f"{found.seen_mm2:g} mm² of each were read.",
    )
    title = f"1 mm² cells of a slide by phenotype, estimated from H&E: {found.name}"
    images = tuple(stratum.image for stratum in slide.first) if slide else ()
    _add(draft, f"risk/slide-cells/{number}", title, CELLS, rows, said, images)


def _add(  # noqa: PLR0913, PLR0917 - the parts of one resource
    draft: Draft,
    role: str,
    title: str,
    key: str,
    rows: list[Json],
    said: tuple[str, ...],
    images: Iterable[int],
) -> None:
    """Add a RiskAssessment of a slide. Its engine is the one that answers for the TIL fraction."""
    source = draft.report.profile.til_fraction.source
    body = {
        "status": "preliminary",
        "method": concept(f"{source.engine} {source.revision} ({source.kind}) on H&E images"),
        "code": concept(title, local_coding("ours_field", key)),
        "subject": draft.ref("patient"),
        "occurrenceDateTime": draft.day,
        "performer": add_engine(draft, source),
        "basis": draft.refs([f"image/{index}" for index in images]),
        "prediction": rows,
        "note": note(UNVALIDATED, *said),
    }
    draft.add("RiskAssessment", role, body)


def _row(  # noqa: PLR0913 - what a row says
    text: str,
    value: float,
    what: str,
    interval: tuple[float, float] | None,
    coverage: float,
    *,
    percent: bool = True,
) -> Json:
    amount = _percent if percent else quantity
    parts = [extension("slide-share", valueQuantity=amount(value))]
    why = f"{what}; a {'share' if percent else 'score from 0 to 1'}, not a probability"
    if interval is not None:
        low, high = interval
        span = {"low": amount(low), "high": amount(high)}
        parts.append(extension("slide-share-interval", valueRange=span))
        why += f"; interval {share(low)} to {share(high)} at {100 * coverage:g} % coverage"
    outcome = concept(f"{text}: {share(value)}, estimated")
    return {"extension": parts, "outcome": outcome, "rationale": plain(why)}


def _percent(value: float) -> Json:
    return quantity(100 * value, "unit_percent")
