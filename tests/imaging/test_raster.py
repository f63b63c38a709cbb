"""Raster files at the decoder's own door: limits, damage and notes."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from he_fields import he_field
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.raster import RASTER_KINDS, check_size, decode_raster
from immunopath.imaging.raw import RawImage

FIELD = he_field(40, 56, seed=4)
PATH = Path("x/field.png")
LIMIT = 10_000_000


def bytes_of(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (image or Image.fromarray(FIELD)).save(stream, kind, **options)
    return stream.getvalue()


def decoded(data: bytes, kind: str, limit: int = LIMIT) -> RawImage:
    return decode_raster(io.BytesIO(data), kind, PATH, limit)


def refused(data: bytes, kind: str, limit: int = LIMIT) -> str:
    with pytest.raises(ImageReadError) as caught:
        decoded(data, kind, limit)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(str(PATH))
    return text


@pytest.mark.parametrize("kind", sorted(RASTER_KINDS))
def test_every_kind_gives_rgb_of_the_right_shape_and_states_no_scale(kind: str) -> None:
    found = decoded(bytes_of(kind), kind)
    assert found.pixels.shape == FIELD.shape
    assert found.pixels.dtype == np.uint8
    assert found.format == kind
    assert found.embedded is None


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_kinds_are_exact(kind: str, options: dict[str, bool]) -> None:
    assert np.array_equal(decoded(bytes_of(kind, **options), kind).pixels, FIELD)


@pytest.mark.parametrize("kind", sorted(RASTER_KINDS))
def test_the_limit_is_on_pixels_and_told_before_unpacking(kind: str) -> None:
    n = FIELD.shape[0] * FIELD.shape[1]
    assert decoded(bytes_of(kind), kind, n).pixels.shape == FIELD.shape
    assert "56 x 40 pixels exceed the limit" in refused(bytes_of(kind), kind, n - 1)


@given(st.integers(-2, 10**6), st.integers(-2, 10**6), st.integers(1, 10**9))
def test_a_size_is_refused_exactly_outside_the_limit(width: int, height: int, limit: int) -> None:
    if width >= 1 and height >= 1 and width * height <= limit:
        check_size((width, height), PATH, limit)
    else:
        with pytest.raises(ImageReadError, match=r"field\.png") as caught:
            check_size((width, height), PATH, limit)
        assert f"{width} x {height}" in str(caught.value)


def _bomb() -> bytes:
    """Return a PNG of a few bytes whose header promises 60000 x 60000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def test_a_bomb_is_defused_by_its_header() -> None:
    assert "60000 x 60000 pixels exceed" in refused(_bomb(), "PNG")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@settings(deadline=None, max_examples=25)
@given(st.floats(0.02, 0.98))
def test_a_file_cut_anywhere_is_refused_never_filled_in(kind: str, share: float) -> None:
    data = bytes_of(kind)
    assert "truncated or damaged" in refused(data[: int(share * len(data))], kind)


def test_a_changed_byte_in_a_png_is_found() -> None:
    data = bytearray(bytes_of("PNG"))
    data[len(data) // 2] ^= 0xFF
    assert "truncated or damaged" in refused(bytes(data), "PNG")


@pytest.mark.parametrize(("kind", "tail"), [("JPEG", 2), ("PNG", 12)])
def test_a_file_without_its_end_marker_is_refused_although_its_pixels_are_there(
    kind: str, tail: int
) -> None:
    assert "truncated or damaged" in refused(bytes_of(kind)[:-tail], kind)


def test_a_checksum_that_does_not_fit_is_damage() -> None:
    """The pixels would unpack: only the checksum of their chunk says that a byte was changed."""
    data = bytearray(bytes_of("PNG"))
    data[len(data) - 12 - 1] ^= 0xFF  # last byte before the end chunk: checksum of IDAT
    assert "truncated or damaged" in refused(bytes(data), "PNG")


def answer(data: bytes, kind: str) -> str:
    try:
        return str(decoded(data, kind).pixels.dtype)
    except ImageReadError as error:
        return str(error)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(RASTER_KINDS)), st.integers(0, 10**6), st.integers(0, 255))
def test_damage_is_a_refusal_or_an_image_and_nothing_else(kind: str, at: int, value: int) -> None:
    data = bytearray(bytes_of(kind))
    data[at % len(data)] = value
    found = answer(bytes(data), kind)
    assert found == "uint8" or found.startswith(str(PATH))
    assert found.isprintable()


def test_pillow_is_left_as_it_was() -> None:
    """Process-wide switches belong to the application: a library must not move them."""
    switches = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    decoded(bytes_of("PNG"), "PNG")
    refused(bytes_of("JPEG")[:200], "JPEG")
    assert switches == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_a_deep_png_is_not_cut_to_its_upper_bytes() -> None:
    """Twelve-bit samples fill the lower half: their upper bytes alone would be nearly black."""
    deep = np.round(FIELD * (4095 / 255)).astype(np.uint16)
    deep[0, 0] = 4095
    _, data = cv2.imencode(".png", deep[..., ::-1])
    found = decoded(data.tobytes(), "PNG")
    assert np.abs(found.pixels[1:].astype(int) - FIELD[1:]).max() <= 1
    assert any("scaled from 12 to 8 bits" in note for note in found.notes)


def test_a_deep_png_is_turned_like_a_shallow_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray((FIELD[..., 1].astype(np.uint16)) * 257)
    found = decoded(bytes_of("PNG", deep, exif=exif), "PNG")
    assert np.array_equal(found.pixels[..., 0], np.rot90(FIELD[..., 1], -1))


def test_notes_are_sentences_without_gaps() -> None:
    palette = Image.fromarray(FIELD).quantize(16)
    data = bytes_of("PNG", palette, dpi=(300, 300), transparency=0)
    notes = decoded(data, "PNG").notes
    assert len(notes) == len(set(notes)) == 3
    assert all(notes)
