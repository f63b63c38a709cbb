"""From paths to checked tiles: what the intake node calls."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from immunopath.domain.errors import InputError
from immunopath.domain.quality import ImageSummary, IntakeResult, TileSummary, Verdict
from immunopath.domain.units import Resolution
from immunopath.imaging.decode import MAX_PIXELS, DecodedImage, decode_image
from immunopath.imaging.resolution import resolve_resolution
from immunopath.imaging.tiles import AddedImage, TileStore


def take_in(
    paths: Sequence[Path],
    stated_mpp: float | None,
    store: TileStore,
    *,
    max_pixels: int = MAX_PIXELS,
) -> IntakeResult:
    """Decode images into `store`, resolve their scale, lay out and check their tiles.

    The result is usable when at least one tile is not refused; otherwise `reason` says why.
    Raises `ImageReadError` or `ResolutionError` for the first image that cannot be used at all,
    and `InputError` for two images with the same pixels: their nuclei would count twice.
    """
    images: list[ImageSummary] = []
    tiles: list[TileSummary] = []
    for path in paths:
        image = decode_image(path, max_pixels=max_pixels)
        resolution = resolve_resolution(image.embedded, stated_mpp)
        _refuse_twin(image, images)
        added = store.add_image(image, resolution.mpp, resolution.source.value)
        images.append(_summary(image, resolution, added))
        tiles.extend(added.tiles)
    usable = any(tile.quality.verdict is not Verdict.refuse for tile in tiles)
    return IntakeResult(
        usable=usable,
        reason="" if usable else _why_not(tiles),
        images=tuple(images),
        tiles=tuple(tiles),
    )


def _refuse_twin(image: DecodedImage, earlier: Sequence[ImageSummary]) -> None:
    for other in earlier:
        if other.pixels_sha256 == image.pixels_sha256:
            raise InputError(
                f"{image.name}: holds the same pixels as {other.name} of the same case; "
                "give every field once"
            )


def _summary(image: DecodedImage, resolution: Resolution, added: AddedImage) -> ImageSummary:
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
    )


def _why_not(tiles: Sequence[TileSummary]) -> str:
    reasons = Counter(tile.quality.reason for tile in tiles)
    commonest, count = reasons.most_common(1)[0]
    if len(tiles) == 1:
        return commonest
    return f"none of {len(tiles)} tiles is usable; {count} of them: {commonest}"
