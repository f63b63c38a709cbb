"""Further rounds of intake: more regions of the slides of a case, beside those already there."""

import itertools
from collections.abc import Mapping, Sequence

from immunopath.domain.quality import ImageSummary, IntakeResult
from immunopath.domain.sampling import (
    SamplingDecision,
    SamplingLog,
    SamplingRound,
    SlideSampling,
    Stratum,
)
from immunopath.imaging.regions import Entering, enter, entering, refuse_twins
from immunopath.imaging.slides.sample import read_regions
from immunopath.imaging.slides.strata import further, strata_of
from immunopath.imaging.tiles import Box, SlidePicture, TileStore

SPREAD = "spread over the tissue, whatever it shows"
DARK = "{} chosen by darkness on the thumbnail"


def first_look(images: Sequence[ImageSummary], store: TileStore) -> SamplingLog | None:
    """Return the log of the first round, or None for a case without regions of slides.

    Regions that a person picked are no sample: they have no frame, and no log.
    """
    slides, dark = [], list[int]()
    for digest, picture in store.slides.items():
        if not picture.frame:
            continue
        strata = _strata(images, digest, picture)
        if not strata:
            continue
        looked = {s.image for s in strata if images[s.image].region in picture.dark}
        dark += looked
        side_px = images[strata[0].image].width
        slides.append(
            SlideSampling(
                name=picture.name,
                sha256=digest,
                candidates=len(picture.frame),
                side_um=round(side_px * picture.resolution.mpp, 3),
                strata=strata,
                first=_strata(images, digest, picture, without=picture.dark),
            )
        )
    if not slides:
        return None
    every = sorted(stratum.image for slide in slides for stratum in slide.strata)
    visit = SamplingRound(
        images=tuple(every),
        because=f"{SPREAD}; {DARK.format(len(dark))}" if dark else SPREAD,
        by_thumbnail=tuple(sorted(dark)),
    )
    return SamplingLog(slides=tuple(slides), rounds=(visit,))


def _strata(
    images: Sequence[ImageSummary], digest: str, picture: SlidePicture, without: Sequence[Box] = ()
) -> tuple[Stratum, ...]:
    """Return the strata of a slide's regions, in their order; `without`: regions left out."""
    index = {i.region: n for n, i in enumerate(images) if i.sha256 == digest and i.region}
    read = [box for box in index if box and box not in without]
    if not read:
        return ()
    parts = strata_of(picture.frame, read, picture.depth)
    return tuple(
        Stratum(image=index[box], places=len(mine), depth=picture.depth.get(box, 0.0))
        for box, mine in parts.items()
    )


def take_more(before: IntakeResult, step: SamplingDecision, store: TileStore) -> IntakeResult:
    """Read the regions that are wanted and return intake's result with them added at its end.

    `store` holds the case as it is in `before`. Raises `ImageReadError` when a file is gone or
    damaged, and `InputError` for equal pixels, before anything was added.
    """
    log = before.sampling
    if log is None:
        raise ValueError("only a case with slides can be read further")
    wanted = {part.image: part.count for part in step.wanted}
    note = f"asked for in round {len(log.rounds) + 1}: {step.reason}"
    pending: list[Entering] = []
    for slide in log.slides:
        picture = store.slides[slide.sha256]
        pending += _read(picture, _boxes(slide, wanted, before, picture), note)
    refuse_twins([found.image for found in pending], before.images)
    images, tiles = list(before.images), list(before.tiles)
    for found in pending:
        summary, added = enter(found, (), store)
        images.append(summary)
        tiles.extend(added)
    slides = tuple(
        slide.model_copy(
            update={"strata": _strata(images, slide.sha256, store.slides[slide.sha256])}
        )
        for slide in log.slides
    )
    new = tuple(range(len(before.images), len(images)))
    visited = SamplingRound(images=new, because=step.reason, width_before=step.width)
    longer = SamplingLog(slides=slides, rounds=(*log.rounds, visited))
    return before.model_copy(
        update={"images": tuple(images), "tiles": tuple(tiles), "sampling": longer}
    )


def take_again(kept: IntakeResult, store: TileStore) -> None:
    """Add what the later rounds of a resumed case had read to a store that holds the first."""
    rounds = kept.sampling.rounds[1:] if kept.sampling else ()
    for visit in rounds:
        for digest, group in itertools.groupby(visit.images, lambda i: kept.images[i].sha256):
            boxes = [box for i in group if (box := kept.images[i].region) is not None]
            for found in _read(store.slides[digest], boxes, ""):
                enter(found, (), store)


def _boxes(
    slide: SlideSampling, wanted: Mapping[int, int], before: IntakeResult, picture: SlidePicture
) -> list[Box]:
    """Return the boxes to read of one slide."""
    region = {s.image: before.images[s.image].region for s in slide.strata}
    parts = strata_of(picture.frame, [box for box in region.values() if box], picture.depth)
    asked = {box: wanted[image] for image, box in region.items() if box and image in wanted}
    return [box for mine in further(parts, asked, picture.depth).values() for box in mine]


def _read(picture: SlidePicture, boxes: Sequence[Box], note: str) -> list[Entering]:
    """Decode regions of a slide whose first round is in the case."""
    if not boxes:
        return []
    return [entering(region, picture, note) for region in read_regions(picture.path, boxes)]
