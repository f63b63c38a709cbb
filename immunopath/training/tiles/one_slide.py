"""Tiling of one slide: look, lay out, fit the stain, read and judge, choose, write."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from immunopath.domain.files import safe_name, write_bytes
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.overlay import ACCEPTED, SELECTED, overlay_png
from immunopath.imaging.slides.plan import TilePlan, plan_tiles_of
from immunopath.imaging.slides.reading import Batch, Job, Readers, SeenTile, batches
from immunopath.imaging.slides.slide import Slide
from immunopath.imaging.stain import StainFit, StainMethod, fit_stain
from immunopath.imaging.tile_manifest import TileRow
from immunopath.training.tiles.inputs import SlideInput
from immunopath.training.tiles.record import SlideRecord, TilingSettings
from immunopath.training.tiles.select import Describe, choose, cluster

_FIT_TILES, _FIT_PIXELS = 24, 4_000
"""Tiles of a slide on which its stain is fitted, and pixels of each."""


class Watch(Protocol):
    """Told how far the work is; `batch` carries the seconds that went to reading and to work."""

    def batch(self, slide_id: str, done: int, total: int, batch: Batch) -> None:
        """Note that `done` of `total` candidate tiles of a slide were read."""


@dataclass(frozen=True)
class TilingTools:
    """What a run works with: processes, where files go, a clock and somebody who watches."""

    readers: Readers
    folder: Path
    clock: Callable[[], float] | None = None
    watch: Watch | None = None


@dataclass(frozen=True)
class _Choice:
    """index: of the accepted tiles that are kept; labels: cluster of each accepted tile."""

    kept: tuple[int, ...]
    labels: tuple[int | None, ...]


def tile_slide(
    given: SlideInput, settings: TilingSettings, tools: TilingTools
) -> tuple[SlideRecord, list[TileRow]]:
    """Tile one slide; a slide without usable tissue is a record, not an error.

    Raises `InputError` when it cannot be read or its scale is not known.
    """
    with open_slide(given.path, given.mpp) as slide:
        plan = plan_tiles_of(slide, settings.rules)
        stain = _fitted(slide, plan, settings)
        bounds, base = slide.facts.bounds, _record(given, slide, plan)
    job = Job(given.path, given.mpp, settings.rules, plan.mask, (), clock=tools.clock, stain=stain)
    seen, digests = _read(job, plan, given, settings, tools)
    accepted = [tile for tile in seen if not tile.reason]
    choice = _chosen(accepted, settings)
    if settings.max_tiles is not None:
        kept = [accepted[i].place for i in choice.kept]
        digests = _rendered(job, kept, given, settings, tools)
    rows = _rows(given, base, accepted, choice, digests, settings, stain)
    states = _states(plan, seen, {accepted[i].place for i in choice.kept})
    thumbnail = f"thumbnails/{safe_name(given.slide_id)}.png"
    write_bytes(tools.folder / thumbnail, overlay_png(plan, bounds, states))
    return _finished(base, plan, seen, choice, stain, thumbnail), rows


def _record(given: SlideInput, slide: Slide, plan: TilePlan) -> SlideRecord:
    note = (slide.resolution.note,) if slide.resolution.note else ()
    return SlideRecord(
        slide_id=given.slide_id,
        patient_id=given.patient_id,
        source=str(given.path.resolve()),
        status="tiled",
        reader=slide.facts.reader,
        width=slide.dimensions[0],
        height=slide.dimensions[1],
        levels=len(slide.facts.levels),
        mpp=slide.mpp,
        mpp_source=slide.resolution.source.value,
        notes=(*slide.facts.notes, *note),
        properties=dict(slide.facts.properties),
        glass=plan.mask.white,
        tissue_threshold=round(plan.mask.threshold, 4),
        grid=len(plan.places),
    )


def _fitted(slide: Slide, plan: TilePlan, settings: TilingSettings) -> StainFit | None:
    """Pool pixels of tiles all over the slide and fit its stain to them."""
    if settings.normalise is StainMethod.none:
        return None
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(plan.candidates))[:_FIT_TILES]
    size = settings.rules.size_px
    pools = [np.zeros((0, 3), np.uint8)]
    for i in sorted(order):
        pixels = slide.read_region(plan.candidates[i].box, (size, size)).reshape(-1, 3)
        pools.append(pixels[rng.permutation(len(pixels))[:_FIT_PIXELS]])
    return fit_stain(
        settings.normalise, np.concatenate(pools), plan.mask.white, plan.mask.threshold
    )


def _read(
    job: Job, plan: TilePlan, given: SlideInput, settings: TilingSettings, tools: TilingTools
) -> tuple[list[SeenTile], dict[GridTile, str]]:
    """Read every candidate; without a limit the accepted ones are written in the same go."""
    jobs = [replace(job, places=part) for part in batches(plan.candidates)]
    if settings.max_tiles is None:
        jobs = [_writing(part, given, settings, tools) for part in jobs]
    else:
        describe = Describe(settings.rules.target_mpp)
        jobs = [replace(part, describe=describe) for part in jobs]
    seen: list[SeenTile] = []
    for batch in tools.readers.run(jobs):
        seen += batch.tiles
        if tools.watch is not None:
            tools.watch.batch(given.slide_id, len(seen), len(plan.candidates), batch)
    return seen, {tile.place: tile.sha256 for tile in seen if tile.sha256}


def _rendered(
    job: Job,
    places: Sequence[GridTile],
    given: SlideInput,
    settings: TilingSettings,
    tools: TilingTools,
) -> dict[GridTile, str]:
    """Read the chosen tiles again and write them; returns the digest of each file."""
    jobs = [
        _writing(replace(job, places=part, check=False), given, settings, tools)
        for part in batches(places)
    ]
    return {tile.place: tile.sha256 for batch in tools.readers.run(jobs) for tile in batch.tiles}


def _writing(job: Job, given: SlideInput, settings: TilingSettings, tools: TilingTools) -> Job:
    files = tuple(tools.folder / _file(given, place, settings) for place in job.places)
    return replace(job, files=files)


def tile_folder(given: SlideInput) -> str:
    """Return where the tiles of a slide lie, relative to the manifest."""
    return f"tiles/{safe_name(given.slide_id)}"


def _file(given: SlideInput, place: GridTile, settings: TilingSettings) -> str:
    return f"{tile_folder(given)}/{place.column}_{place.row}.{settings.image_format}"


def _chosen(accepted: Sequence[SeenTile], settings: TilingSettings) -> _Choice:
    everything = tuple(range(len(accepted)))
    if settings.max_tiles is None or not accepted:
        return _Choice(everything, (None,) * len(accepted))
    vectors = np.stack([tile.vector for tile in accepted if tile.vector is not None])
    labels = cluster(vectors, settings.clusters, settings.seed)
    kept = choose(vectors, labels, settings.max_tiles, settings.seed)
    return _Choice(kept, tuple(int(label) for label in labels))


def _rows(  # noqa: PLR0913, PLR0917 - one row has many sources
    given: SlideInput,
    base: SlideRecord,
    accepted: Sequence[SeenTile],
    choice: _Choice,
    digests: Mapping[GridTile, str],
    settings: TilingSettings,
    stain: StainFit | None,
) -> list[TileRow]:
    kept, rules = set(choice.kept), settings.rules
    assert base.mpp is not None
    rows = []
    for i, (tile, label) in enumerate(zip(accepted, choice.labels, strict=True)):
        x, y, width, height = tile.place.box
        rows.append(
            TileRow(
                tile_id=f"{given.slide_id}:{x},{y},{width},{height}",
                patient_id=given.patient_id,
                slide_id=given.slide_id,
                source=base.source,
                x=x,
                y=y,
                width=width,
                height=height,
                mpp=base.mpp,
                mpp_source=base.mpp_source,
                target_mpp=rules.target_mpp,
                size_px=rules.size_px,
                tissue=tile.tissue,
                blur=round(tile.blur, 3),
                pen=tile.pen,
                cluster=label,
                selected=i in kept,
                file=_file(given, tile.place, settings) if i in kept else None,
                sha256=digests.get(tile.place, ""),
                stain="none" if stain is None else stain.applied,
            )
        )
    return rows


def _states(
    plan: TilePlan, seen: Sequence[SeenTile], kept: set[GridTile]
) -> dict[tuple[int, int], str]:
    states = dict(plan.rejected)
    for tile in seen:
        fate = SELECTED if tile.place in kept else ACCEPTED
        states[tile.place.column, tile.place.row] = tile.reason or fate
    return states


def _finished(  # noqa: PLR0913, PLR0917 - what came of every step
    base: SlideRecord,
    plan: TilePlan,
    seen: Sequence[SeenTile],
    choice: _Choice,
    stain: StainFit | None,
    thumbnail: str,
) -> SlideRecord:
    rejected = plan.counts() + Counter(tile.reason for tile in seen if tile.reason)
    update = {
        "rejected": dict(sorted(rejected.items())),
        "accepted": len(choice.labels),
        "selected": len(choice.kept),
        "stain": stain,
        "thumbnail": thumbnail,
    }
    if not choice.labels:
        update |= {"status": "no_tissue", "reason": _why(base, plan, rejected)}
    return base.model_copy(update=update)


def _why(base: SlideRecord, plan: TilePlan, rejected: Mapping[str, int]) -> str:
    if not plan.places:
        return (
            f"{base.width} x {base.height} px at {base.mpp:.4g} µm/px are smaller than one tile "
            f"of {plan.rules.side_um:g} µm"
        )
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
    share = plan.mask.shares()["tissue"]
    return f"no usable tile of {base.grid} ({parts}); tissue covers {share:.1%} of the slide"
