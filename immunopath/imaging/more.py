"""Further rounds of intake: more regions of the slides of a case, beside those already there."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from immunopath.domain.quality import ImageSummary, IntakeResult
from immunopath.domain.sampling import (
    SamplingDecision,
    SamplingLog,
    SamplingRound,
    SlideSampling,
    Stratum,
)
from immunopath.imaging.regions import Entering, OfSlide, enter, region_image
from immunopath.imaging.slides.sample import read_regions
from immunopath.imaging.slides.strata import further
from immunopath.imaging.tiles import Box, SlidePicture, TileStore

SPREAD = "spread over the tissue, whatever it shows"


def first_look(images: Sequence[ImageSummary], store: TileStore) -> SamplingLog | None:
    """Return the log of the first round, or None for a case without regions of slides."""
    slides, every = [], []
    for digest, picture in store.slides.items():
        index = {i.region: n for n, i in enumerate(images) if i.sha256 == digest and i.region}
        if not picture.strata:
            continue
        strata = tuple(
            Stratum(first=index[box], places=len(members), read=(index[box],))
            for box, members in picture.strata.items()
        )
        every += [stratum.first for stratum in strata]
        slides.append(
            SlideSampling(
                name=picture.name,
                sha256=digest,
                candidates=sum(stratum.places for stratum in strata),
                side_um=round(next(iter(picture.strata))[2] * picture.mpp, 3),
                strata=strata,
            )
        )
    if not slides:
        return None
    first = SamplingRound(images=tuple(sorted(every)), because=SPREAD)
    return SamplingLog(slides=tuple(slides), rounds=(first,))


def take_more(
    before: IntakeResult, step: SamplingDecision, stated_mpp: float | None, store: TileStore
) -> IntakeResult:
    """Read the regions that are wanted and return intake's result with them added at its end.

    `store` holds the case as it is in `before`. Raises `ImageReadError` when a file is gone or
    damaged, before anything was added.
    """
    log = before.sampling
    if log is None:
        raise ValueError("only a case with slides can be read further")
    wanted = {part.first: part.count for part in step.wanted}
    number = len(log.rounds) + 1
    pending: list[tuple[int, Entering]] = []
    for slide in log.slides:
        boxes = _boxes(slide, wanted, before, store.slides[slide.sha256])
        flat = [box for mine in boxes.values() for box in mine]
        owner = [first for first, mine in boxes.items() for _ in mine]
        note = f"asked for in round {number}: {step.reason}"
        visit = _Visit(before.images[slide.strata[0].first], stated_mpp, note)
        entering = _read(store.slides[slide.sha256], flat, visit)
        pending += zip(owner, entering, strict=True)
    images, tiles = list(before.images), list(before.tiles)
    new: dict[int, list[int]] = {}
    for first, found in pending:
        summary, added = enter(found, images, store)
        new.setdefault(first, []).append(len(images))
        images.append(summary)
        tiles.extend(added)
    return before.model_copy(
        update={
            "images": tuple(images),
            "tiles": tuple(tiles),
            "sampling": _longer(log, new, step),
        }
    )


def take_again(kept: IntakeResult, stated_mpp: float | None, store: TileStore) -> None:
    """Add what the later rounds of a resumed case had read to a store that holds the first."""
    rounds = kept.sampling.rounds[1:] if kept.sampling else ()
    for visit in rounds:
        for digest, group in itertools.groupby(visit.images, lambda i: kept.images[i].sha256):
            regions = [(i, kept.images[i].region) for i in group]
            boxes = [box for _, box in regions if box is not None]
            like = kept.images[regions[0][0]]
            for found in _read(store.slides[digest], boxes, _Visit(like, stated_mpp, "")):
                enter(found, (), store)


@dataclass(frozen=True)
class _Visit:
    like: ImageSummary
    """A region of the same slide."""
    stated_mpp: float | None
    note: str


def _boxes(
    slide: SlideSampling, wanted: dict[int, int], before: IntakeResult, picture: SlidePicture
) -> dict[int, tuple[Box, ...]]:
    """Return the boxes to read by the image index of their first region."""
    region = {index: _region(before, index) for index in slide.read}
    mine = {s.first: wanted[s.first] for s in slide.strata if s.first in wanted}
    asked = {region[first]: count for first, count in mine.items()}
    found = further(picture.strata, list(region.values()), asked)
    return {first: found[region[first]] for first in mine}


def _region(case: IntakeResult, index: int) -> Box:
    region = case.images[index].region
    if region is None:
        raise ValueError(f"image {index} is no region of a slide")
    return region


def _read(picture: SlidePicture, boxes: Sequence[Box], visit: _Visit) -> list[Entering]:
    """Decode regions of a slide whose first round is in the case."""
    if not boxes:
        return []
    resolution, regions = read_regions(picture.path, visit.stated_mpp, boxes)
    slide = OfSlide(picture.path, visit.like.sha256, visit.like.format, (visit.note,))
    return [Entering(region_image(r, slide), resolution, r.box) for r in regions]


def _longer(log: SamplingLog, new: dict[int, list[int]], step: SamplingDecision) -> SamplingLog:
    slides = tuple(
        slide.model_copy(
            update={
                "strata": tuple(
                    s.model_copy(update={"read": (*s.read, *new.get(s.first, ()))})
                    for s in slide.strata
                )
            }
        )
        for slide in log.slides
    )
    added = tuple(sorted(index for mine in new.values() for index in mine))
    visit = SamplingRound(images=added, because=step.reason, width_before=step.width)
    return SamplingLog(slides=slides, rounds=(*log.rounds, visit))
