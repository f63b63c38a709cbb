"""How an image of a case enters the store: plain images and regions of slides alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from immunopath.domain.errors import InputError
from immunopath.domain.quality import ImageSummary, TileSummary
from immunopath.domain.units import Resolution
from immunopath.imaging.decode import DecodedImage, pixels_digest, printable
from immunopath.imaging.slides.sample import SlideRegion
from immunopath.imaging.tiles import AddedImage, Box, TileStore


@dataclass(frozen=True)
class Entering:
    """An image, its scale and its place on a slide."""

    image: DecodedImage
    resolution: Resolution
    region: Box | None = None


@dataclass(frozen=True)
class OfSlide:
    """What a region shares with its slide. notes: of the slide and of this visit."""

    path: Path
    sha256: str
    reader: str
    notes: tuple[str, ...]


def region_image(region: SlideRegion, slide: OfSlide) -> DecodedImage:
    """Return a region as an image of the case, named after file and place."""
    return DecodedImage(
        pixels=region.pixels,
        name=f"{printable(slide.path.name)} [{','.join(str(n) for n in region.box)}]",
        sha256=slide.sha256,
        pixels_sha256=pixels_digest(region.pixels),
        format=slide.reader,
        embedded=None,
        notes=slide.notes,
    )


def enter(
    found: Entering, earlier: Sequence[ImageSummary], store: TileStore
) -> tuple[ImageSummary, tuple[TileSummary, ...]]:
    """Add an image to the store; returns its summary and its tiles.

    Raises `InputError` for the pixels of an earlier image: their nuclei would count twice.
    """
    _refuse_twin(found.image, earlier)
    added = store.add_image(found.image, found.resolution.mpp, found.resolution.source.value)
    return _summary(found, added), added.tiles


def _refuse_twin(image: DecodedImage, earlier: Sequence[ImageSummary]) -> None:
    for other in earlier:
        if other.pixels_sha256 == image.pixels_sha256:
            raise InputError(
                f"{image.name}: holds the same pixels as {other.name} of the same case; "
                "give every field once"
            )


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
    )
