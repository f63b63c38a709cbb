"""Uploads: their names, their number, their end."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.app.uploads import (
    MAX_NAME,
    Limits,
    UploadError,
    UploadFolder,
    check_count,
    safe_upload_name,
)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("core 1.tif", "core 1.tif"),
        ("../../etc/passwd", "passwd"),
        ("C:\\slides\\a.svs", "a.svs"),
        ("..", "image"),
        ("", "image"),
        (".bashrc", "bashrc"),
        ("a\x00b\n.png", "a_b_.png"),
        ("x" * 300 + ".ome.tiff", "x" * (MAX_NAME - 5) + ".tiff"),
    ],
)
def test_a_name_is_plain_and_stays_in_its_folder(given_name: str, kept: str) -> None:
    assert safe_upload_name(given_name) == kept


@given(st.text())
def test_no_name_leaves_its_folder(name: str) -> None:
    safe = safe_upload_name(name)
    assert 0 < len(safe) <= MAX_NAME
    assert Path(safe).name == safe
    assert safe.isprintable()


def test_files_of_one_name_are_kept_apart_and_deleted(tmp_path: Path) -> None:
    folder = UploadFolder.below(tmp_path)
    first = folder.add("a.png", io.BytesIO(b"1"))
    second = folder.add("a.png", io.BytesIO(b"2"))
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    assert folder.root.stat().st_mode & 0o077 == 0
    assert folder.told(f"{second}: is not an image") == "a.png: is not an image"
    folder.discard()
    folder.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UploadError, match=r"a.png: is empty \(0 bytes\)"):
        UploadFolder.below(tmp_path).add("a.png", io.BytesIO())


def test_none_and_too_many_are_refused() -> None:
    with pytest.raises(UploadError, match="no image was given"):
        check_count([], Limits())
    check_count(["a"] * 16, Limits())
    with pytest.raises(UploadError, match="17 images were given; at most 16"):
        check_count(["a"] * 17, Limits())
