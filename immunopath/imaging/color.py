"""Conversions to 8-bit sRGB: depth, alpha, profiles, orientation."""

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from immunopath.imaging.arrays import RGB

_DEPTHS = (8, 10, 12, 14, 16)


def eight_bit(values: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.uint8], str]:
    """Scale 16-bit samples to 8 bits by their true depth, with a note.

    The true depth is the smallest of 8, 10, 12, 14 and 16 bits that holds the largest sample:
    cameras store 10, 12 or 14 bits in 16-bit containers without saying so. The scale is one factor
    for all channels, so hues stay; nothing is stretched to the darkest or brightest pixel.
    """
    largest = int(values.max(initial=0))
    depth = next(bits for bits in _DEPTHS if largest < 2**bits)
    scaled = cv2.convertScaleAbs(np.ascontiguousarray(values), alpha=255.0 / (2**depth - 1))
    shaped = np.asarray(scaled, dtype=np.uint8).reshape(values.shape)
    return shaped, f"16-bit samples (largest {largest}) were scaled from {depth} to 8 bits"


def three_channels(grey: npt.NDArray[np.uint8]) -> RGB:
    """Return a grey image of shape (h, w) as three equal channels."""
    return np.repeat(grey[:, :, None], 3, axis=2)


def on_white(
    rgb: RGB, alpha: npt.NDArray[np.uint8], *, premultiplied: bool = False
) -> tuple[RGB, str]:
    """Composite on white glass; an opaque alpha channel changes nothing and needs no note."""
    if int(alpha.min(initial=255)) == 255:
        return rgb, ""
    opacity = alpha.astype(np.float32)[:, :, None] / 255
    colour = rgb.astype(np.float32)
    if not premultiplied:
        colour *= opacity
    mixed = np.clip(np.rint(colour + 255 * (1 - opacity)), 0, 255)
    return mixed.astype(np.uint8), "transparent parts were composited on white"


def oriented(pixels: RGB, orientation: int) -> tuple[RGB, str]:
    """Apply an EXIF or TIFF orientation (1 to 8); anything else is left as it is."""
    if orientation not in range(2, 9):
        return pixels, ""
    turned = np.swapaxes(pixels, 0, 1) if orientation >= 5 else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned), f"the stored orientation ({orientation}) was applied"


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[RGB, str]:
    """Convert an RGB or CMYK image to sRGB through its ICC profile, with a note."""
    note = ""
    if image.mode == "CMYK":
        note = "CMYK was converted to RGB without a colour profile"
    if profile:
        try:
            converted = _through_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError):
            note = "the embedded colour profile could not be used and was ignored"
        else:
            if converted is not None:
                kind = "CMYK was" if image.mode == "CMYK" else "colours were"
                return _array(converted), f"{kind} converted to sRGB through the embedded profile"
    return _array(image if image.mode == "RGB" else image.convert("RGB")), note


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the converted image, or None when the profile is sRGB already."""
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space != image.mode:
        raise ValueError(f"a {space} profile in an image of {image.mode}")
    if "sRGB" in (source.profile.profile_description or ""):
        return None
    return ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )


def _array(image: Image.Image) -> RGB:
    """Return the pixels of an RGB image with one copy, where `np.array` makes two."""
    width, height = image.size
    return np.frombuffer(bytearray(image.tobytes()), np.uint8).reshape(height, width, 3)
