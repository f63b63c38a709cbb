"""Slides of the vendors, and DICOM, through OpenSlide."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import openslide
from PIL import Image, ImageCms

from immunopath.domain.errors import ImageReadError, first_line
from immunopath.domain.units import MPP_MAX, MppSource, Resolution
from immunopath.imaging.arrays import RGB
from immunopath.imaging.color import on_white
from immunopath.imaging.slides.parts import refuse_strays
from immunopath.imaging.slides.slide import Level, SlideFacts
from immunopath.imaging.tiff_scale import plausible
from immunopath.imaging.tiles import Box

GENERIC = "generic-tiff"
"""What OpenSlide calls a tiled TIFF of nobody's: it knows neither its OME-XML nor its SubIFDs."""
_KEPT = (
    "openslide.vendor", "openslide.objective-power", "openslide.mpp-x", "openslide.mpp-y",
    "openslide.quickhash-1", "aperio.AppMag", "aperio.ScanScope ID", "dicom.Modality",
)  # fmt: skip
"""Properties that are recorded; comments, dates and identifiers of patients are not among them."""


def vendor_of(path: Path) -> str | None:
    """Return OpenSlide's name of the format, None for a file it does not know."""
    try:
        vendor: str | None = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None
    return vendor


class OpenSlideReader:
    """Implements `LevelReader`."""

    def __init__(self, path: Path) -> None:
        """Open the slide; raises `ImageReadError` with OpenSlide's own reason."""
        self._path = path
        try:
            refuse_strays(path, vendor_of(path))
            self._slide = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            raise self._damaged(error) from error
        self._to_srgb = _srgb_transform(self._slide.color_profile)
        self.facts = self._found()

    def _found(self) -> SlideFacts:
        slide, properties = self._slide, self._slide.properties
        vendor = properties.get("openslide.vendor", "unknown")
        levels = tuple(
            Level(int(width), int(height), float(downsample))
            for (width, height), downsample in zip(
                slide.level_dimensions, slide.level_downsamples, strict=True
            )
        )
        embedded, note = _scale(properties, vendor)
        notes = [note] if note else []
        if self._to_srgb is not None:
            notes.append("colours were converted to sRGB through the embedded profile")
        return SlideFacts(
            reader=f"openslide:{vendor}",
            levels=levels,
            embedded=embedded,
            bounds=_bounds(properties, levels[0]),
            properties={key: properties[key] for key in _KEPT if key in properties},
            notes=tuple(notes),
        )

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGB:
        """See `LevelReader`; parts that were never scanned are white."""
        down = self.facts.levels[level].downsample
        try:
            image = self._slide.read_region(
                (round(x * down), round(y * down)), level, (width, height)
            )
        except (openslide.OpenSlideError, OSError) as error:
            raise self._damaged(error) from error
        pixels = np.asarray(image)
        rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
        alpha = np.asarray(cv2.extractChannel(pixels, 3), dtype=np.uint8)
        rgb, _ = on_white(rgb, alpha)
        if self._to_srgb is None:
            return rgb
        converted = ImageCms.applyTransform(Image.fromarray(rgb), self._to_srgb)
        return np.array(converted, dtype=np.uint8)

    def close(self) -> None:
        """Release the file."""
        self._slide.close()

    def _damaged(self, error: Exception) -> ImageReadError:
        return ImageReadError(
            f"{self._path}: the slide is truncated or damaged ({first_line(error, 160)}); "
            "copy or export it again"
        )


def _scale(properties: Mapping[str, str], vendor: str) -> tuple[Resolution | None, str]:
    try:
        pair = (
            float(properties.get("openslide.mpp-x", "")),
            float(properties.get("openslide.mpp-y", "")),
        )
    except ValueError:
        return None, ""
    source = MppSource.tag if vendor == "dicom" else MppSource.vendor
    return plausible(pair, source, MPP_MAX)


def _bounds(properties: Mapping[str, str], level: Level) -> Box:
    """Return the scanned part, where the vendor states one that lies inside."""
    try:
        x, y, width, height = (
            int(properties.get(f"openslide.bounds-{name}", ""))
            for name in ("x", "y", "width", "height")
        )
    except ValueError:
        return 0, 0, level.width, level.height
    x, y = max(0, x), max(0, y)
    width, height = min(width, level.width - x), min(height, level.height - y)
    return (x, y, width, height) if min(width, height) > 0 else (0, 0, level.width, level.height)


def _srgb_transform(profile: ImageCms.ImageCmsProfile | None) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion to sRGB, None when the slide is sRGB or says nothing usable."""
    if profile is None or "sRGB" in (profile.profile.profile_description or ""):
        return None
    try:
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
