"""TIFF in its many kinds (stripped, tiled, BigTIFF, OME, ImageJ, small SVS) through tifffile."""

import contextlib
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from immunopath.domain.errors import ImageReadError, first_line
from immunopath.imaging.arrays import RGB
from immunopath.imaging.color import eight_bit, on_white, oriented, three_channels, to_srgb
from immunopath.imaging.raster import check_size
from immunopath.imaging.raw import RawImage
from immunopath.imaging.tiff_scale import embedded_resolution

Bytes = npt.NDArray[np.uint8]
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,  # what the codecs raise
    OverflowError,
    ZeroDivisionError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
_APERIO_YCBCR = 33003
_ASSOCIATED, _UNASSOCIATED = 1, 2
_COLOUR_SAMPLES: dict[int, int] = {
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.YCBCR: 3,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.PALETTE: 1,
}


def decode_tiff(handle: BinaryIO, path: Path, max_pixels: int) -> RawImage:
    """Decode the first image at full resolution; raises `ImageReadError` naming the obstacle."""
    try:
        with quiet(), alone(handle, name=path.name) as tif:
            return _decode(tif, path, max_pixels)
    except DAMAGE as error:
        raise damaged(path, error) from error


def alone(file: BinaryIO | Path, name: str | None = None) -> TiffFile:
    """Open a TIFF whose pages are its own.

    An OME-TIFF may say that its pixels lie in another file, wherever that is: none is opened.
    """
    return TiffFile(file, name=name, _multifile=False)


def damaged(path: Path, error: BaseException) -> ImageReadError:
    """Return one of `DAMAGE` as the error that names the file."""
    return ImageReadError(
        f"{path}: the TIFF data are truncated or damaged ({first_line(error, 120)}); copy or "
        "export it again"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's own log lines off the terminal: ours is the one line that counts."""
    logger, silent = logging.getLogger("tifffile"), logging.NullHandler()
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.removeHandler(silent)


def _decode(tif: TiffFile, path: Path, max_pixels: int) -> RawImage:
    page = first_page(tif, path)
    check_size((page.imagewidth, page.imagelength), path, max_pixels)
    require_known_colours(tif, page, path)
    require_complete(tif, page, path)
    array = page.asarray()
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    notes = _page_notes(tif)
    samples, deep = _samples(array, page, path)
    pixels, converted = to_rgb(samples, page)
    turned, orientation = oriented(pixels, orientation_of(page))
    embedded, scale = embedded_resolution(tif, page)
    notes += [deep, *converted, orientation, scale]
    return RawImage(turned, format_name(tif), embedded, tuple(note for note in notes if note))


def first_page(tif: TiffFile, path: Path) -> TiffPage:
    """Return the page of the first image at full resolution; refuses separate stain channels."""
    if "<!DOCTYPE" in (tif.ome_metadata or ""):  # could define entities that expand without end
        raise ImageReadError(
            f"{path}: its OME-XML holds a document type definition; export it as plain TIFF"
        )
    series = tif.series[0]
    for axis, length in zip(series.axes, series.shape, strict=False):
        if (axis == "C" and length > 1) or (axis == "Q" and length in (3, 4)):
            raise ImageReadError(
                f"{path}: holds {length} separate channels that are not stated to be red, green "
                "and blue; export it as one RGB image"
            )
    page = series.pages[0]
    if not isinstance(page, TiffPage):
        page = series.keyframe
    return page


def require_known_colours(tif: TiffFile, page: TiffPage, path: Path) -> None:
    """Raise `ImageReadError` unless the samples are known to be red, green and blue (or grey)."""
    photometric, samples = page.photometric, page.samplesperpixel
    expected = _COLOUR_SAMPLES.get(photometric)
    if expected is None:
        name = getattr(photometric, "name", photometric)
        raise ImageReadError(
            f"{path}: colour space {name} is not supported; export it as 8-bit RGB"
        )
    jpeg = page.compression in (COMPRESSION.JPEG, COMPRESSION.OJPEG)
    ycbcr = photometric == PHOTOMETRIC.YCBCR and not jpeg
    if ycbcr or int(page.compression) == _APERIO_YCBCR:
        raise ImageReadError(
            f"{path}: YCbCr colours without JPEG are not supported; export it as 8-bit RGB"
        )
    extra = samples - expected
    known_alpha = tuple(page.extrasamples)[:1] in ((_ASSOCIATED,), (_UNASSOCIATED,))
    if extra < 0 or extra > 1 or (extra == 1 and not known_alpha):
        raise ImageReadError(
            f"{path}: holds {samples} channels that are not stated to be red, green, blue and "
            "alpha; export it as 8-bit RGB"
        )


def require_complete(tif: TiffFile, page: TiffPage, path: Path) -> None:
    """Refuse segments that are missing or lie beyond the end of the file: nothing is filled in."""
    size = tif.filehandle.size
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    missing = sum(count <= 0 or offset + count > size for offset, count in segments)
    if missing or not segments:
        raise ImageReadError(
            f"{path}: truncated: {missing} of {len(segments)} strips or tiles are missing; "
            "copy or export it again"
        )


def _samples(array: npt.NDArray[np.generic], page: TiffPage, path: Path) -> tuple[Bytes, str]:
    """Return 8-bit samples, shape (h, w) or (h, w, c), with a note on the depth."""
    if array.shape[:2] != (page.imagelength, page.imagewidth) or array.ndim > 3:
        raise ImageReadError(f"{path}: is not one plane of pixels; export it as one RGB image")
    palette = page.photometric == PHOTOMETRIC.PALETTE
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * (1 if palette else 255), ""
    if array.dtype == np.uint8:
        levels = 2 ** min(page.bitspersample, 8) - 1
        return (cast(Bytes, array) * np.uint8(1 if palette else 255 // levels)), ""
    if array.dtype == np.uint16 and not palette:
        return _from_deep(cast("npt.NDArray[np.uint16]", array), page)
    raise ImageReadError(
        f"{path}: holds {array.dtype} samples, whose black and white are not known; "
        "export it as 8-bit RGB"
    )


def _from_deep(array: npt.NDArray[np.uint16], page: TiffPage) -> tuple[Bytes, str]:
    """Scale colours by their own depth: an opaque alpha channel says nothing about theirs."""
    colours = _COLOUR_SAMPLES[page.photometric]
    if array.ndim == 2 or array.shape[2] == colours:
        return eight_bit(array)
    scaled, note = eight_bit(array[:, :, :colours])
    return np.dstack([scaled, eight_bit(array[:, :, colours:])[0]]), note


def to_rgb(samples: Bytes, page: TiffPage) -> tuple[RGB, list[str]]:
    """Return sRGB pixels (h, w, 3) of 8-bit samples with notes on the conversions."""
    colours = _COLOUR_SAMPLES[page.photometric]
    profile = _profile(page)
    alpha = samples[:, :, colours] if samples.ndim == 3 and samples.shape[2] > colours else None
    if colours == 1:
        grey = samples if samples.ndim == 2 else np.ascontiguousarray(samples[:, :, 0])
        rgb, note = _from_one(grey, page)
    else:
        mode = "CMYK" if colours == 4 else "RGB"
        body = np.ascontiguousarray(samples[:, :, :colours])
        rgb, note = to_srgb(Image.frombuffer(mode, body.shape[1::-1], body.tobytes()), profile)
    if alpha is None:
        return rgb, [note]
    premultiplied = _ASSOCIATED in page.extrasamples
    rgb, mixed = on_white(rgb, alpha, premultiplied=premultiplied)
    return rgb, [note, mixed]


def _from_one(grey: Bytes, page: TiffPage) -> tuple[RGB, str]:
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        colours = (np.asarray(page.colormap) >> 8).astype(np.uint8).T
        return np.ascontiguousarray(colours[grey]), "palette colours were expanded"
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        grey = 255 - grey
    return three_channels(grey), "a grey image: three equal channels"


def _page_notes(tif: TiffFile) -> list[str]:
    if tif.is_svs or tif.series[0].is_pyramidal:
        return ["only the full-resolution level of the slide is used"]
    count = len(tif.pages)
    return [f"only the first of {count} pages is used"] if count > 1 else []


def format_name(tif: TiffFile) -> str:
    """Return what kind of TIFF it is, for the record."""
    kinds = ((tif.is_svs, "SVS"), (tif.is_ome, "OME-TIFF"), (tif.is_imagej, "ImageJ TIFF"))
    for is_kind, name in kinds:
        if is_kind:
            return name
    return "BigTIFF" if tif.is_bigtiff else "TIFF"


def orientation_of(page: TiffPage) -> int:
    """Return the stored orientation, 1 (as it lies) to 8."""
    tag = page.tags.get(274)
    return 1 if tag is None else int(tag.value)


def _profile(page: TiffPage) -> bytes | None:
    tag = page.tags.get(34675)
    return tag.value if tag is not None and isinstance(tag.value, bytes) else None
