"""The kind of a file is what its bytes say, and a wrong file is named in words."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.sniff import REMEDY, sniff

PATH = Path("folder/slide.png")
KINDS = {"PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"}


def saved(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), (200, 120, 160)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_pillow_writes_is_recognised(kind: str) -> None:
    assert sniff(saved(kind), PATH) == kind


@pytest.mark.parametrize(
    "head", [b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"], ids=["le", "be", "big le", "big be"]
)
def test_every_kind_of_tiff(head: bytes) -> None:
    assert sniff(head + bytes(64), PATH) == "TIFF"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_first_bytes_are_enough(kind: str) -> None:
    assert sniff(saved(kind)[:16], PATH) == kind


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "x")
    return stream.getvalue()


def _npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (_zip(), "a ZIP archive"),
        (_npy(), "a NumPy array"),
        (b"\x1f\x8b\x08" + bytes(20), "a gzip archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"\x7fELF\x02", "a program"),
        (bytes(4096), "a block of zeros"),
        (b"  <svg xmlns='http://www.w3.org/2000/svg'/>", "an XML, SVG or HTML text"),
        (b"<!DOCTYPE html><html>", "an XML, SVG or HTML text"),
        (b"slide;mpp\n1;0.5\n", "plain text"),
        (bytes(range(128, 256)), "data of an unknown kind"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "data of an unknown kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_is_named_with_the_remedy(head: bytes, words: str) -> None:
    with pytest.raises(ImageReadError) as caught:
        sniff(head, PATH)
    text = str(caught.value)
    assert text.startswith(f"{PATH}: is not an image but {words}")
    assert text.endswith(REMEDY)


def test_dicom_is_named_by_its_prefix_at_128() -> None:
    with pytest.raises(ImageReadError, match="DICOM"):
        sniff(bytes(128) + b"DICM" + bytes(10), PATH)
    with pytest.raises(ImageReadError, match="DICOM"):
        sniff(b"II*\x00" + bytes(124) + b"DICM", PATH)


def answer(head: bytes) -> str:
    try:
        return sniff(head, PATH)
    except ImageReadError as error:
        return str(error)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_known_kind_or_one_line(head: bytes) -> None:
    found = answer(head)
    assert found in KINDS or found.startswith(f"{PATH}: is ")
    assert found.isprintable()
