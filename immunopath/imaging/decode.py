"""From an image file to sRGB pixels, or one line that says why not.

The kind of a file is read from its first bytes, never from its name. Nothing is half accepted: a
file that ends too early is refused.
"""

import hashlib
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

from immunopath.domain.errors import ImageReadError, first_line
from immunopath.domain.files import open_regular
from immunopath.domain.units import Resolution
from immunopath.imaging.arrays import RGB
from immunopath.imaging.raster import RASTER_KINDS, decode_raster
from immunopath.imaging.raw import RawImage
from immunopath.imaging.sniff import sniff
from immunopath.imaging.tiff import decode_tiff

MAX_PIXELS = 80_000_000
"""About 8900 x 8900 pixels: a tissue core at 0.25 µm per pixel, not a slide."""
MAX_BYTES = 1024**3
_SUFFIXES = {
    "PNG": {".png"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "TIFF": {".tif", ".tiff", ".svs", ".btf", ".ome"},
}


@dataclass(frozen=True)
class DecodedImage:
    """An image file after decoding.

    pixels: shape (h, w, 3), uint8, sRGB, read-only. sha256: of the file's bytes; pixels_sha256: of
    shape and pixels, equal for exact duplicates in other containers. embedded: the resolution that
    the file itself states. notes: every conversion that was applied, as sentences.
    """

    pixels: RGB
    name: str
    sha256: str
    pixels_sha256: str
    format: str
    embedded: Resolution | None
    notes: tuple[str, ...] = ()


def decode_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode a PNG, JPEG, TIFF (also OME, ImageJ, BigTIFF, SVS), BMP, GIF or WebP file.

    Raises `ImageReadError` when the file is missing, no regular file, empty, truncated, not an
    image, larger than `max_pixels`, or of a kind whose colours are not known to be red, green and
    blue.
    """
    path = Path(path)
    try:
        with _opened(path) as handle:
            return _decode(handle, path, max_pixels)
    except (OSError, ValueError) as error:
        raise ImageReadError(f"{path}: cannot be read ({first_line(error, 200)})") from error


def _opened(path: Path) -> BufferedReader:
    """Open a regular, non-empty file; anything else would hang or hold no image."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ImageReadError(f"{path}: no such file; check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageReadError(f"{path}: is a folder; name the image files in it")
    if not stat.S_ISREG(status.st_mode):
        raise ImageReadError(f"{path}: is not a regular file; copy the image to a file first")
    if status.st_size == 0:
        raise ImageReadError(f"{path}: is empty (0 bytes); copy or export it again")
    if status.st_size > MAX_BYTES:
        raise ImageReadError(
            f"{path}: holds {status.st_size / 1e9:.1f} GB; export a region of interest instead"
        )
    try:
        return open_regular(path)
    except PermissionError:
        raise ImageReadError(f"{path}: no permission to read it; change its permissions") from None


def _decode(handle: BufferedReader, path: Path, max_pixels: int) -> DecodedImage:
    kind = sniff(handle.read(4096), path)
    handle.seek(0)
    if kind in RASTER_KINDS:
        raw = decode_raster(handle, kind, path, max_pixels)
    else:
        raw = decode_tiff(handle, path, max_pixels)
    handle.seek(0)
    digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return _finished(raw, path, kind, digest)


def _finished(raw: RawImage, path: Path, kind: str, digest: str) -> DecodedImage:
    pixels = np.ascontiguousarray(raw.pixels)
    pixels.setflags(write=False)
    notes = list(raw.notes)
    suffix = path.suffix.lower()
    named = next((other for other, known in _SUFFIXES.items() if suffix in known), None)
    if named not in (None, kind):
        notes.append(f"the content is {kind} although the name ends in {suffix}")
    return DecodedImage(
        pixels=pixels,
        name=printable(path.name),
        sha256=digest,
        pixels_sha256=pixels_digest(pixels),
        format=raw.format,
        embedded=raw.embedded,
        notes=tuple(notes),
    )


def pixels_digest(pixels: RGB) -> str:
    """Return the SHA-256 of shape and pixels."""
    digest = hashlib.sha256("x".join(str(n) for n in pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def printable(name: str) -> str:
    """Return a file name as text that any output can hold: bytes that are no UTF-8 spelt out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
