"""From paths to checked tiles: what the intake node calls."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from immunopath.domain.errors import InputError
from immunopath.domain.quality import ImageSummary, IntakeResult, TileSummary, Verdict
from immunopath.domain.units import Resolution
from immunopath.imaging.decode import (
    MAX_PIXELS,
    DecodedImage,
    decode_image,
    pixels_digest,
    printable,
)
from immunopath.imaging.quality import assess_quality
from immunopath.imaging.resolution import resolve_resolution
from immunopath.imaging.slides.sample import SlideSample, is_slide, sample_slide
from immunopath.imaging.tiles import AddedImage, Box, SlidePicture, TileStore

_Found = tuple[DecodedImage, Resolution, Box | None]
"""An image, its scale and its place on a slide."""


def take_in(
    paths: Sequence[Path],
    stated_mpp: float | None,
    store: TileStore,
    *,
    max_pixels: int = MAX_PIXELS,
) -> IntakeResult:
    """Decode images into `store`, resolve their scale, lay out and check their tiles.

    A whole slide enters as regions of tissue spread over it, each an image with its place.

    The result is usable when at least one tile is not refused; otherwise `reason` says why.
    Raises `ImageReadError` or `ResolutionError` for the first image that cannot be used at all,
    and `InputError` for two images with the same pixels: their nuclei would count twice.
    """
    images: list[ImageSummary] = []
    tiles: list[TileSummary] = []
    reasons: list[str] = []
    for path in paths:
        if is_slide(path, max_pixels):
            sample = sample_slide(path, stated_mpp)
            found: list[_Found] = list(_regions(path, sample))
            name = printable(path.name)
            store.slides[sample.sha256] = SlidePicture(
                name, sample.thumbnail, sample.bounds, sample.resolution.mpp
            )
            if not found:
                images.append(_empty(path, sample, store))
                reasons.append(_no_region(path, sample))
        else:
            image = decode_image(path, max_pixels=max_pixels)
            found = [(image, resolve_resolution(image.embedded, stated_mpp), None)]
        for image, resolution, region in found:
            _refuse_twin(image, images)
            added = store.add_image(image, resolution.mpp, resolution.source.value)
            images.append(_summary(image, resolution, added, region))
            tiles.extend(added.tiles)
    usable = any(tile.quality.verdict is not Verdict.refuse for tile in tiles)
    if tiles and not usable:
        reasons.append(_why_not(tiles))
    return IntakeResult(
        usable=usable,
        reason="" if usable else "; ".join(reasons),
        images=tuple(images),
        tiles=tuple(tiles),
    )


def _regions(path: Path, sample: SlideSample) -> Iterator[_Found]:
    """Return the regions of a slide as images of the case, each with its place."""
    count = len(sample.regions)
    for number, region in enumerate(sample.regions, 1):
        note = (
            f"region {number} of {count} of a slide of {sample.size[0]} x {sample.size[1]} px; "
            f"{count} of {sample.of} regions with tissue were read"
        )
        name = f"{printable(path.name)} [{','.join(str(n) for n in region.box)}]"
        yield (
            DecodedImage(
                pixels=region.pixels,
                name=name,
                sha256=sample.sha256,
                pixels_sha256=pixels_digest(region.pixels),
                format=sample.reader,
                embedded=None,
                notes=(*sample.notes, note),
            ),
            sample.resolution,
            region.box,
        )


def _empty(path: Path, sample: SlideSample, store: TileStore) -> ImageSummary:
    """Return a slide without tissue as an image whose picture shows why."""
    store.add_picture(sample.thumbnail, sample.thumbnail_mpp)
    return ImageSummary(
        name=printable(path.name),
        sha256=sample.sha256,
        pixels_sha256=pixels_digest(sample.thumbnail),
        width=sample.size[0],
        height=sample.size[1],
        format=sample.reader,
        mpp=sample.resolution.mpp,
        mpp_source=sample.resolution.source.value,
        notes=(*sample.notes, "only its thumbnail was looked at"),
        quality=assess_quality(sample.thumbnail),
    )


def _no_region(path: Path, sample: SlideSample) -> str:
    return (
        f"{printable(path.name)}: no region of the slide holds enough tissue; tissue covers "
        f"{sample.tissue:.1%} of it"
    )


def _refuse_twin(image: DecodedImage, earlier: Sequence[ImageSummary]) -> None:
    for other in earlier:
        if other.pixels_sha256 == image.pixels_sha256:
            raise InputError(
                f"{image.name}: holds the same pixels as {other.name} of the same case; "
                "give every field once"
            )


def _summary(
    image: DecodedImage, resolution: Resolution, added: AddedImage, region: Box | None
) -> ImageSummary:
    height, width = image.pixels.shape[:2]
    notes = (*image.notes, resolution.note) if resolution.note else image.notes
    return ImageSummary(
        name=image.name,
        sha256=image.sha256,
        pixels_sha256=image.pixels_sha256,
        width=width,
        height=height,
        format=image.format,
        mpp=resolution.mpp,
        mpp_source=resolution.source.value,
        notes=notes,
        quality=added.quality,
        region=region,
    )


def _why_not(tiles: Sequence[TileSummary]) -> str:
    reasons = Counter(tile.quality.reason for tile in tiles)
    commonest, count = reasons.most_common(1)[0]
    if len(tiles) == 1:
        return commonest
    return f"none of {len(tiles)} tiles is usable; {count} of them: {commonest}"
