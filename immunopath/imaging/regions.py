"""How an image of a case enters the store: plain images and regions of slides alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from immunopath.domain.errors import InputError
from immunopath.domain.quality import ImageSummary, TileSummary
from immunopath.domain.region import region_text
from immunopath.domain.units import Resolution
from immunopath.imaging.decode import DecodedImage, pixels_digest
from immunopath.imaging.slides.sample import SlideRegion
from immunopath.imaging.tiles import AddedImage, Box, SlidePicture, TileStore


@dataclass(frozen=True)
class Entering:
    """An image, its scale and its place on a slide."""

    image: DecodedImage
    resolution: Resolution
    region: Box | None = None
    picked: bool = False


def entering(
    region: SlideRegion, picture: SlidePicture, note: str, *, picked: bool = False
) -> Entering:
    """Return a region as an image of the case, named after file and place; `note`: why it is."""
    image = DecodedImage(
        pixels=region.pixels,
        name=f"{picture.name} [{region_text(region.box)}]",
        sha256=picture.sha256,
        pixels_sha256=pixels_digest(region.pixels),
        format=picture.reader,
        embedded=None,
        notes=(*picture.notes, note),
    )
    return Entering(image, picture.resolution, region.box, picked)


def enter(
    found: Entering, earlier: Sequence[ImageSummary], store: TileStore
) -> tuple[ImageSummary, tuple[TileSummary, ...]]:
    """Add an image to the store; returns its summary and its tiles.

    Raises `InputError` for the pixels of an earlier image: their nuclei would count twice.
    """
    refuse_twins([found.image], earlier)
    added = store.add_image(found.image, found.resolution.mpp, found.resolution.source.value)
    return _summary(found, added), added.tiles


def refuse_twins(images: Sequence[DecodedImage], earlier: Sequence[ImageSummary]) -> None:
    """Raise `InputError` for an image with the pixels of another or of an earlier one."""
    known = {other.pixels_sha256: other.name for other in reversed(earlier)}
    for image in images:
        if image.pixels_sha256 in known:
            raise InputError(
                f"{image.name}: holds the same pixels as {known[image.pixels_sha256]} of the same "
                "case; give every field once"
            )
        known[image.pixels_sha256] = image.name


def _summary(found: Entering, added: AddedImage) -> ImageSummary:
    image, resolution = found.image, found.resolution
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
        region=found.region,
        picked=found.picked,
    )
