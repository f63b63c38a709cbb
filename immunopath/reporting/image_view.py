"""Images, tiles and neighbours as blocks."""

from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.prediction import Neighbour, RetrievalResult
from immunopath.domain.quality import (
    ImageSummary,
    QualityCheck,
    QualityReport,
    TileSummary,
    Verdict,
)
from immunopath.domain.report import CaseReport
from immunopath.domain.words import counted
from immunopath.reporting.card_view import source_text
from immunopath.reporting.document import Block, Entries, Entry, Grid, Pair, Para, Section
from immunopath.reporting.text import listed, number, plain_name, scale_origin, share
from immunopath.reporting.words import field_name, percent

_ORDER = (
    "Ordered by mean similarity over the tiles of the case; the cosine shown is that of the best "
    "tile."
)


def resolution(image: ImageSummary) -> str:
    """Return ``0.5 µm/px (stated by the user)``."""
    return f"{image.mpp:.4g} µm/px ({scale_origin(image.mpp_source)})"


def image_facts(report: CaseReport) -> tuple[Pair, ...]:
    """Return one row per image and one for all tiles."""
    rows = [
        Pair(
            "Image",
            image.name,
            f"{image.width} × {image.height} px, {resolution(image)}",
        )
        for image in report.images
    ]
    return (*rows, Pair("Tiles", _tile_counts(report.tiles)))


def _tile_counts(tiles: tuple[TileSummary, ...]) -> str:
    if not tiles:
        return "none"
    verdicts = [tile.quality.verdict for tile in tiles]
    words = ((Verdict.accept, "accepted"), (Verdict.flag, "flagged"), (Verdict.refuse, "refused"))
    parts = [f"{verdicts.count(v)} {word}" for v, word in words if verdicts.count(v)]
    return f"{len(tiles)} ({', '.join(parts)})"


def quality_section(report: CaseReport) -> Section:
    """Return the checks on every image and the (long) table of tiles."""
    blocks: list[Block] = [
        Grid(
            f"Image: {image.name}",
            ("Check", "Verdict", "Measured (limit)", "Meaning"),
            _checks(image.quality),
        )
        for image in report.images
    ]
    if report.tiles:
        headers = ("Tile", "Verdict", "Tissue", "µm/px", "Reason")
        rows = tuple(
            (
                tile.tile_id,
                _verdict(tile.quality.verdict),
                share(tile.quality.tissue_share),
                f"{tile.mpp:.4g}",
                tile.quality.reason,
            )
            for tile in report.tiles
        )
        caption = f"Quality control of {counted(len(rows), 'tile')}"
        blocks.append(Grid(caption, headers, rows, collapsed=True))
    notes = tuple(Pair(image.name, note) for image in report.images for note in image.notes)
    if notes:
        blocks.append(Entries("plain", (Entry("Conversions applied", lines=notes),)))
    return Section("quality", "Image quality control", tuple(blocks))


def refusal_section(report: CaseReport) -> Section:
    """Return why a case was refused: each refusing check with its number against its limit."""
    items = tuple(
        Entry(
            head=check.message,
            mark=_verdict(check.verdict),
            tone="stop" if check.verdict is Verdict.refuse else "caution",
            tags=(check.code,),
            lines=(
                Pair("Measured", f"{_amount(check, check.measured)}, {_limit(check)}"),
                Pair("Image", image.name),
            ),
        )
        for image in report.images
        for check in image.quality.checks
        if check.verdict is not Verdict.accept
    )
    reason = report.status_reason or "The image cannot be used."
    blocks: tuple[Block, ...] = (Entries("severity", items),) if items else ()
    if all(item.head != reason for item in items):
        blocks = (Para(reason, "lead"), *blocks)
    return Section(
        "refused",
        "Why no result is given",
        blocks,
        "No engine saw this image and no value is given in its place.",
    )


def _verdict(verdict: Verdict) -> str:
    return {"accept": "accepted", "flag": "FLAGGED", "refuse": "REFUSED"}[verdict]


_SHARES = frozenset(
    {"dark_field", "tissue_share", "brown_stain", "ink", "stain_colour", "red", "saturation"}
)
"""Checks whose numbers are shares of the field or of its tissue."""


def _amount(check: QualityCheck, value: float) -> str:
    if check.code in _SHARES:
        return percent(value)
    return f"{number(value, 3)}{' px' if check.code == 'side' else ''}"


def _limit(check: QualityCheck) -> str:
    """Return the limit with its side, which follows from the verdict: a kept floor lies below."""
    amount = _amount(check, check.limit)
    if check.measured == check.limit:
        return f"limit {amount}"
    kept = check.verdict is Verdict.accept
    floor = (check.measured > check.limit) is kept
    return f"{'at least' if floor else 'at most'} {amount}"


def _checks(quality: QualityReport) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            plain_name(check.code),
            _verdict(check.verdict),
            f"{_amount(check, check.measured)} ({_limit(check)})",
            check.message,
        )
        for check in quality.checks
    )


def neighbours_section(report: CaseReport) -> Section:
    """Return the nearest reference patches and what they vote."""
    outcome = report.retrieval
    title = "Similar reference patches"
    if not isinstance(outcome, Ok):
        text = f"No neighbours: {plain_name(outcome.status)}. {why_not(outcome)}"
        return Section("neighbours", title, (Para(text),))
    found = outcome.value
    blocks: list[Block] = [Para(_atlas(found), "quiet")]
    if found.neighbours:
        blocks.append(Entries("gallery", tuple(_neighbour(n) for n in found.neighbours)))
        blocks.append(Para(_ORDER, "quiet"))
    blocks.append(_votes(found))
    note = "Similar in appearance, which is not the same as similar in biology."
    return Section("neighbours", title, tuple(blocks), note)


def _atlas(found: RetrievalResult) -> str:
    left = ", ".join(f"{n} left out ({plain_name(why)})" for why, n in found.excluded.items())
    size = counted(found.atlas_size, "patch", "patches")
    return f"Atlas {found.atlas_id}, {size}{'; ' + left if left else ''}. " + source_text(
        found.source
    )


def _neighbour(neighbour: Neighbour) -> Entry:
    known = tuple(
        f"{field_name(key)}: {share(value) if isinstance(value, float) else value}"
        for key, value in neighbour.labels.items()
    )
    return Entry(
        head=neighbour.title,
        mark=f"cosine {neighbour.similarity:.3f}",
        lines=(
            Pair("Tissue", neighbour.tissue or "unknown", known=bool(neighbour.tissue)),
            Pair("Known labels", listed(known), known=bool(known)),
            Pair("Source", f"{neighbour.attribution}; {neighbour.licence}"),
        ),
        picture=neighbour.neighbour_id,
    )


def _votes(found: RetrievalResult) -> Block:
    """Return the votes of the fields that have one; a table of silence says nothing."""
    voted = tuple(vote for vote in found.votes if vote.n_votes)
    if not voted:
        return Para("No neighbour carries a label, so none votes on any field.")
    rows = tuple(
        (
            field_name(vote.field),
            str(vote.n_votes),
            "no opinion (fewer than 3 labelled)"
            if vote.value is None
            else share(vote.value)
            if isinstance(vote.value, float)
            else vote.value,
            ", ".join(f"{name} {share(value)}" for name, value in vote.shares.items()),
        )
        for vote in voted
    )
    return Grid("Votes of labelled neighbours", ("Field", "Votes", "Opinion", "Shares"), rows)
