"""From paths to checked tiles: what the intake node calls."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from immunopath.domain.quality import ImageSummary, IntakeResult, TileSummary, Verdict
from immunopath.domain.region import Region
from immunopath.domain.words import counted
from immunopath.imaging.decode import MAX_PIXELS, decode_image, pixels_digest
from immunopath.imaging.more import first_look
from immunopath.imaging.quality import assess_quality
from immunopath.imaging.regions import Entering, enter, entering
from immunopath.imaging.resolution import resolve_resolution
from immunopath.imaging.slides.pick import Picked, pick_regions
from immunopath.imaging.slides.sample import SlideSample, is_slide, sample_slide
from immunopath.imaging.tiles import TileStore


def take_in(
    paths: Sequence[Path],
    stated_mpp: float | None,
    store: TileStore,
    *,
    regions: Sequence[Region] = (),
    max_pixels: int = MAX_PIXELS,
) -> IntakeResult:
    """Decode images into `store`, resolve their scale, lay out and check their tiles.

    A whole slide enters as regions of tissue spread over it, and a few that look darkest on its
    thumbnail, each an image with its place; where a person picked `regions` of it, those and no
    others.

    The result is usable when at least one tile is not refused; otherwise `reason` says why.
    Raises `ImageReadError`, `ResolutionError` or `RegionError` for the first image that cannot be
    used at all, and `InputError` for two images with the same pixels: their nuclei would count
    twice.
    """
    images: list[ImageSummary] = []
    tiles: list[TileSummary] = []
    reasons: list[str] = []
    for path in paths:
        if regions:
            found = _picked(pick_regions(path, regions, stated_mpp), store)
        elif is_slide(path, max_pixels):
            sample = sample_slide(path, stated_mpp)
            found = _regions(sample, store)
            if not found:
                images.append(_empty(sample, store))
                reasons.append(_no_region(sample))
        else:
            image = decode_image(path, max_pixels=max_pixels)
            found = [Entering(image, resolve_resolution(image.embedded, stated_mpp))]
        for one in found:
            summary, added = enter(one, images, store)
            images.append(summary)
            tiles.extend(added)
    return _result(images, tiles, reasons, store)


def _result(
    images: list[ImageSummary], tiles: list[TileSummary], reasons: list[str], store: TileStore
) -> IntakeResult:
    """Return what came in: usable, or why not."""
    usable = any(tile.quality.verdict is not Verdict.refuse for tile in tiles)
    if tiles and not usable:
        reasons = [*reasons, _why_not(tiles)]
    return IntakeResult(
        usable=usable,
        reason="" if usable else "; ".join(reasons),
        images=tuple(images),
        tiles=tuple(tiles),
        sampling=first_look(images, store),
    )


def _picked(picked: Picked, store: TileStore) -> list[Entering]:
    """Return the regions that a person picked as images of the case."""
    store.slides[picked.picture.sha256] = picked.picture
    count, (width, height) = len(picked.regions), picked.size
    return [
        entering(
            region,
            picked.picture,
            f"region {number} of {count}, picked by hand on a slide of {width} x {height} px",
            picked=True,
        )
        for number, region in enumerate(picked.regions, 1)
    ]


def _regions(sample: SlideSample, store: TileStore) -> list[Entering]:
    """Return the regions of a slide as images of the case, each with its place."""
    store.slides[sample.picture.sha256] = sample.picture
    count, found = len(sample.regions), []
    for number, region in enumerate(sample.regions, 1):
        note = (
            f"region {number} of {count} of a slide of {sample.size[0]} x {sample.size[1]} px; "
            f"read: {count} of {counted(sample.of, 'region')} with tissue"
        )
        if region.box in sample.picture.dark:
            note += "; this one because it looks dark on the thumbnail"
        found.append(entering(region, sample.picture, note))
    return found


def _empty(sample: SlideSample, store: TileStore) -> ImageSummary:
    """Return a slide without tissue as an image whose picture shows why."""
    slide = sample.picture
    store.add_picture(slide.pixels, sample.thumbnail_mpp)
    return ImageSummary(
        name=slide.name,
        sha256=slide.sha256,
        pixels_sha256=pixels_digest(slide.pixels),
        width=sample.size[0],
        height=sample.size[1],
        format=slide.reader,
        mpp=slide.resolution.mpp,
        mpp_source=slide.resolution.source.value,
        notes=(*slide.notes, "only its thumbnail was looked at"),
        quality=assess_quality(slide.pixels),
    )


def _no_region(sample: SlideSample) -> str:
    return (
        f"{sample.picture.name}: no region of the slide holds enough tissue; tissue covers "
        f"{sample.tissue:.1%} of it"
    )


def _why_not(tiles: Sequence[TileSummary]) -> str:
    reasons = Counter(tile.quality.reason for tile in tiles)
    commonest, count = reasons.most_common(1)[0]
    if len(tiles) == 1:
        return commonest
    return f"none of {len(tiles)} tiles is usable; {count} of them: {commonest}"
