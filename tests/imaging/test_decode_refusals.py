"""What cannot be decoded: one line that names the file and the remedy, never a traceback."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from he_fields import he_field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from immunopath.domain.errors import ImageReadError
from immunopath.imaging import decode
from immunopath.imaging.decode import decode_image

FIELD = he_field(120, 130, seed=9)


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(ImageReadError) as caught:
        decode_image(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 500 + len(str(path))
    return text


def written(folder: Path, kind: str) -> Path:
    path = folder / f"field.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, FIELD, photometric="rgb", compression="zlib", tile=(64, 64))
    elif kind == "raw.tif":
        tifffile.imwrite(path, FIELD, photometric="rgb", rowsperstrip=16)
    elif kind == "jpeg.tif":
        tifffile.imwrite(path, FIELD, photometric="rgb", compression="jpeg", tile=(64, 64))
    else:
        Image.fromarray(FIELD).save(path)
    return path


def test_a_missing_file(tmp_path: Path) -> None:
    text = refusal(tmp_path / "none.png")
    assert "none.png: no such file; check the path" in text


def test_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    assert "no such file" in refusal(tmp_path / "a.png")


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    assert "cannot be read" in refusal(tmp_path / "a.png")


def test_a_path_below_a_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(written(tmp_path, "png") / "x.png")


@pytest.mark.parametrize("name", ["a" * 5000 + ".png", "a\x00b.png"])
def test_an_impossible_name(tmp_path: Path, name: str) -> None:
    assert "cannot be read" in refusal(tmp_path / name)


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder; name the image files in it" in refusal(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.png")


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert "is not a regular file" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device(device: str) -> None:
    assert "is not a regular file" in refusal(Path(device))


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "png")
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read anything

        def denied(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", denied)
    assert "no permission" in refusal(path)


def test_a_file_of_many_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.touch()
    os.truncate(path, decode.MAX_BYTES + 1)
    assert "export a region" in refusal(path)


@pytest.mark.parametrize(
    ("content", "described"),
    [
        (b"just some notes\nabout the case\n", "plain text"),
        (b"<html><body>404</body></html>", "an XML, SVG or HTML text"),
        (b'  <?xml version="1.0"?><svg/>', "an XML, SVG or HTML text"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04....", "a ZIP archive"),
        (b"\x1f\x8b....", "a gzip archive"),
        (bytes(300), "a block of zeros"),
        (bytes(range(1, 200)) * 2, "data of an unknown kind"),
        (b"\x00" * 128 + b"DICM" + b"\x02\x00", "a DICOM file"),
    ],
)
def test_a_file_that_is_no_image(tmp_path: Path, content: bytes, described: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert described in refusal(path)


def test_a_name_with_escapes_stays_on_one_printable_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[31m\u202e.png"
    path.write_text("text")
    assert "a\\nb\\x1b[31m\\u202e.png" in refusal(path)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "webp", "tif", "raw.tif", "jpeg.tif"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_not_half_accepted(tmp_path: Path, kind: str, share: float) -> None:
    path = written(tmp_path, kind)
    data = path.read_bytes()
    decode_image(path)
    path.write_bytes(data[: int(len(data) * share)])
    text = refusal(path)
    assert "export it again" in text or "is not an image" in text


@pytest.mark.parametrize("lost", [1, 2, 20])
@pytest.mark.parametrize("kind", ["png", "jpg", "raw.tif"])
def test_even_the_last_bytes_count(tmp_path: Path, kind: str, lost: int) -> None:
    path = written(tmp_path, kind)
    path.write_bytes(path.read_bytes()[:-lost])
    assert "export it again" in refusal(path)


def test_a_thumbnails_end_is_not_the_images_end(tmp_path: Path) -> None:
    """EXIF thumbnails are JPEG files inside the JPEG file, with an end marker of their own."""
    thumbnail = written(tmp_path, "jpg").read_bytes()
    exif = Image.Exif()
    exif[0x010E] = "x" * 10
    path = tmp_path / "b.jpg"
    Image.fromarray(FIELD).save(path, exif=exif.tobytes() + thumbnail)
    decode_image(path)
    path.write_bytes(path.read_bytes()[:-2])
    assert "truncated" in refusal(path)


def test_truncated_images_stay_refused_by_pillow_itself() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, "png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))
    assert "damaged" in refusal(path)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("size", [(50_000, 50_000), (2**31 - 1, 2**31 - 1), (0, 10)])
def test_a_decompression_bomb_is_refused_by_its_header(
    tmp_path: Path, size: tuple[int, int], recwarn: pytest.WarningsRecorder
) -> None:
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    path = tmp_path / "a.png"
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    text = refusal(path)
    assert "exceed the limit" in text or "damaged" in text or "states a size" in text
    assert not recwarn.list


def test_a_tiff_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FIELD, photometric="rgb")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for code in (256, 257):
            entry = tif.pages.first.tags[code]
            size = 2 if entry.dtype == 3 else 4
            data[entry.valueoffset : entry.valueoffset + size] = (60_000).to_bytes(size, "little")
    path.write_bytes(bytes(data))
    assert "exceed the limit of 80 megapixels" in refusal(path)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_the_limit_is_the_callers(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    decode_image(path, max_pixels=120 * 130)
    text = refusal(path, max_pixels=120 * 130 - 1)
    assert "130 x 120 pixels exceed" in text
    assert "export a region" in text


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "webp", "bmp", "tif", "jpeg.tif"])
def test_damage_never_escapes_as_another_error(tmp_path: Path, kind: str) -> None:
    """Any damage is either decoded (a flipped pixel is not damage to see) or named."""
    path = written(tmp_path, kind)
    data = path.read_bytes()
    target = tmp_path / "damaged"

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    @given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
    def check(changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for position, value in changes:
            damaged[min(position % 400, len(data) - 1)] = value
        target.write_bytes(bytes(damaged))
        try:
            found = decode_image(target, max_pixels=1_000_000)
        except ImageReadError as error:
            sound = str(error).isprintable()
        else:
            sound = found.pixels.dtype == np.uint8 and found.pixels.shape[2] == 3
        assert sound

    check()
