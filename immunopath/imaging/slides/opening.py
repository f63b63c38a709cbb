"""Which reader reads a file is found by trying, never by its name."""

from pathlib import Path

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.arrays import RGB
from immunopath.imaging.decode import MAX_BYTES, decode_image
from immunopath.imaging.slides.openslide_reader import GENERIC, OpenSlideReader, vendor_of
from immunopath.imaging.slides.slide import (
    Level,
    LevelReader,
    Slide,
    SlideFacts,
    refuse_unless_readable,
)
from immunopath.imaging.slides.tiff_reader import TiffReader, readable_by_regions
from immunopath.imaging.sniff import sniff


def open_slide(path: Path, stated_mpp: float | None = None) -> Slide:
    """Open a slide of any known kind; `stated_mpp` overrides what the file says.

    Tried in this order: a vendor's format or DICOM (OpenSlide), TIFF by regions (tifffile), an
    image decoded as a whole. A folder is a DICOM slide. Raises `ImageReadError` naming the
    obstacle and `ResolutionError` for a stated mpp that is none.
    """
    path = Path(path)
    refuse_unless_readable(path)
    return Slide(path, _reader(_dicom_in(path) if path.is_dir() else path), stated_mpp)


def _reader(path: Path) -> LevelReader:
    try:
        vendor = vendor_of(path)
        if vendor is not None and vendor != GENERIC:
            return OpenSlideReader(path)
        with path.open("rb") as handle:
            head = handle.read(4096)
        if sniff(head, path) == "TIFF" and readable_by_regions(path):
            return TiffReader(path)
        if path.stat().st_size > MAX_BYTES:
            raise ImageReadError(f"{path}: too large to decode as a whole; export it as tiled TIFF")
        return WholeImage(path)
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be read ({error.strerror or error})") from error


class WholeImage:
    """Implements `LevelReader` for a file that is decoded as a whole, within `MAX_PIXELS`."""

    def __init__(self, path: Path) -> None:
        """Decode the image; raises `ImageReadError`."""
        image = decode_image(path)
        self._pixels = image.pixels
        height, width = image.pixels.shape[:2]
        self.facts = SlideFacts(
            reader=f"image:{image.format}",
            levels=(Level(width, height, 1.0),),
            embedded=image.embedded,
            bounds=(0, 0, width, height),
            notes=image.notes,
        )

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGB:
        """See `LevelReader`; there is one level."""
        del level
        return self._pixels[y : y + height, x : x + width]

    def close(self) -> None:
        """Nothing is held open."""


def _dicom_in(folder: Path) -> Path:
    """Return an instance of the DICOM slide that a folder holds; OpenSlide finds the others."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size and vendor_of(path) == "dicom":
            return path
    raise ImageReadError(f"{folder}: is a folder without a DICOM slide; name the slide file")
