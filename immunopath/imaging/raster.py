"""PNG, JPEG, BMP, GIF and WebP through Pillow, without its process-wide settings."""

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin
from PIL import WebPImagePlugin as Webp
from PIL.ImageFile import ImageFile

from immunopath.domain.errors import ImageReadError, first_line
from immunopath.imaging.arrays import RGB
from immunopath.imaging.color import eight_bit, on_white, oriented, three_channels, to_srgb
from immunopath.imaging.raw import RawImage

# The plugins are called directly: `Image.open` would apply (and warn by) a process-wide limit
# instead of ours, and would try formats that were not asked for.
_PLUGINS: dict[str, type[ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": Webp.WebPImageFile,
}
RASTER_KINDS = frozenset(_PLUGINS)
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
_ORIENTATION = 0x0112
_DENSITY_NAMES = {"PNG": "pHYs", "JPEG": "JFIF"}


def decode_raster(handle: BinaryIO, kind: str, path: Path, max_pixels: int) -> RawImage:
    """Decode the first frame; raises `ImageReadError` for damage, bombs and unknown colours."""
    try:
        image = _PLUGINS[kind](handle)
        check_size(image.size, path, max_pixels)
        if kind == "PNG":
            image.verify()
            handle.seek(0)
            image = _PLUGINS[kind](handle)
        image.load()
        frames = getattr(image, "n_frames", 1)
        image.seek(0)
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGE as error:
        raise _damaged(path, kind, error) from error
    handle.seek(0)
    data = handle.read()
    _require_end(data, kind, path)
    pixels, notes = _deep(data, path) if kind == "PNG" and data[24] == 16 else _shallow(image, path)
    pixels, turned = oriented(pixels, orientation)
    notes.append(turned)
    if frames > 1:
        notes.append(f"only the first of {frames} frames is used")
    if kind in _DENSITY_NAMES and "dpi" in image.info:
        dpi = image.info["dpi"][0]
        notes.append(f"its {_DENSITY_NAMES[kind]} density ({dpi:.0f} dpi) is no microscope scale")
    return RawImage(pixels, kind, None, tuple(note for note in notes if note))


def check_size(size: tuple[int, int], path: Path, max_pixels: int) -> None:
    """Refuse an image by its header, before any pixel is unpacked."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageReadError(f"{path}: states a size of {width} x {height} pixels; export it again")
    if width * height > max_pixels:
        raise ImageReadError(
            f"{path}: {width} x {height} pixels exceed the limit of {max_pixels / 1e6:.0f} "
            "megapixels; export a region of interest instead"
        )


def _damaged(path: Path, kind: str, error: BaseException) -> ImageReadError:
    return ImageReadError(
        f"{path}: the {kind} data are truncated or damaged ({first_line(error, 120)}); copy or "
        "export it again"
    )


def _require_end(data: bytes, kind: str, path: Path) -> None:
    """Refuse a file without its end marker: decoders fill what is missing with grey."""
    ends = {
        "JPEG": b"\xff\xd9" in data[data.rfind(b"\xff\xda") :],
        "PNG": b"IEND\xae\x42\x60\x82" in data[-65_536:],
    }
    if not ends.get(kind, True):
        raise _damaged(path, kind, ValueError("no end marker"))


def _shallow(image: Image.Image, path: Path) -> tuple[RGB, list[str]]:
    """Convert what Pillow decoded with 8 bits per channel."""
    profile = image.info.get("icc_profile")
    notes = []
    if image.mode in ("P", "PA"):
        notes.append("palette colours were expanded")
    if image.mode in ("P", "PA", "LA", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("1", "L"):
        grey = np.array(image.convert("L"), dtype=np.uint8)
        return three_channels(grey), [*notes, "a grey image: three equal channels"]
    if image.mode == "RGBA":
        opaque, converted = to_srgb(image.convert("RGB"), profile)
        pixels, mixed = on_white(opaque, np.array(image.getchannel("A"), dtype=np.uint8))
        return pixels, [*notes, converted, mixed]
    if image.mode in ("RGB", "CMYK"):
        pixels, converted = to_srgb(image, profile)
        return pixels, [*notes, converted]
    raise ImageReadError(
        f"{path}: colour mode {image.mode} is not supported; export it as 8-bit RGB"
    )


def _deep(data: bytes, path: Path) -> tuple[RGB, list[str]]:
    """Convert a 16-bit PNG, of which Pillow keeps only the upper bytes."""
    decoded = cv2.imdecode(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageReadError(f"{path}: a 16-bit PNG that cannot be decoded; export it as 8-bit RGB")
    deep = cast("npt.NDArray[np.uint16]", decoded)
    if deep.ndim == 2:
        grey, note = eight_bit(deep)
        return three_channels(grey), [note, "a grey image: three equal channels"]
    colour, note = eight_bit(deep[:, :, :3])
    rgb = np.ascontiguousarray(colour[:, :, ::-1])
    with PngImagePlugin.PngImageFile(io.BytesIO(data)) as header:
        profile = header.info.get("icc_profile")
    rgb, converted = to_srgb(Image.fromarray(rgb), profile)
    if deep.shape[2] == 4:
        alpha = (deep[:, :, 3] >> 8).astype(np.uint8)
        rgb, mixed = on_white(rgb, alpha)
        return rgb, [note, converted, mixed]
    return rgb, [note, converted]
