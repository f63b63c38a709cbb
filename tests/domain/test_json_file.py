"""One way to read a value of a JSON file: every fault names the file, in the caller's own class."""

import os
from pathlib import Path

import pytest

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CaseFileError, LabelError
from immunopath.domain.json_file import JsonFile


class Point(Frozen):
    x: float
    y: float


PLAIN = JsonFile(Point, "a point")
OWN = JsonFile(Point, "a point", whole="point", remedy="draw it again", error=LabelError, limit=40)


def test_a_value_is_read(tmp_path: Path) -> None:
    path = tmp_path / "point.json"
    path.write_text('{"x": 1, "y": 2}')
    assert PLAIN.read(path) == OWN.read(path) == OWN.of(path, {"x": 1, "y": 2}) == Point(x=1, y=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"x": 1}', "y: Field required"),
        ('{"x": 1, "y": 2, "z": 3}', "z: Extra inputs"),
        ('{"x": NaN, "y": 2}', "x: "),
        ("{", ": Invalid JSON"),
        ("", ": Invalid JSON"),
    ],
)
def test_a_fault_names_file_key_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "point.json"
    path.write_text(text)
    with pytest.raises(CaseFileError) as plain:
        PLAIN.read(path)
    with pytest.raises(LabelError) as own:
        OWN.read(path)
    for error in (plain.value, own.value):
        assert str(error).startswith(f"{path}: ")
        assert said in str(error)
    assert str(own.value).endswith("; draw it again")


@pytest.mark.parametrize("kind", ["none", "pipe", "folder", "large"])
def test_what_cannot_be_read_is_of_the_same_class(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "point.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.write_text(" " * 41)
    with pytest.raises(LabelError, match=r"point\.json: "):
        OWN.read(path)


def test_what_was_parsed_before_is_judged_alike(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"a\.json: x: .*; draw it again"):
        OWN.of(tmp_path / "a.json", {"x": "one", "y": 2})
