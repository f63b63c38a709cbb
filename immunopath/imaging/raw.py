"""What a format's decoder hands back before digests are taken."""

from dataclasses import dataclass

from immunopath.domain.units import Resolution
from immunopath.imaging.arrays import RGB


@dataclass(frozen=True)
class RawImage:
    """Pixels (h, w, 3) uint8 sRGB with the format's name and the notes of the conversions."""

    pixels: RGB
    format: str
    embedded: Resolution | None
    notes: tuple[str, ...]
