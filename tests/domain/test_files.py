"""Results are written whole or not at all, under names that hold for any case id."""

import os
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import CaseFileError, OutputError
from immunopath.domain.files import (
    open_regular,
    open_to_append,
    read_bounded,
    read_small,
    require_content,
    require_file,
    require_place,
    safe_name,
    sweep,
    write_bytes,
    write_text,
    writing,
)

TEXTS = st.text(st.characters(), max_size=80)


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "report.json"
    write_text(target, "one")
    write_text(target, "µm ≥ 2")
    assert target.read_text("utf-8") == "µm ≥ 2"
    assert [p.name for p in target.parent.iterdir()] == ["report.json"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.json"
    write_text(target, "old")

    def full(self: Path, other: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_text(target, "new")
    assert target.read_text("utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not a regular file"):
        write_bytes(tmp_path, b"x")


def test_a_file_as_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "plain" / "report.json", b"x")


def test_an_unwritable_folder_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(Path("/proc/immunopath/report.json"), b"x")


def test_an_impossible_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_bytes(tmp_path / ("n" * 400), b"x")


def test_text_that_utf8_cannot_hold_is_spelled_out(tmp_path: Path) -> None:
    write_text(tmp_path / "r", "a\udcff")
    assert (tmp_path / "r").read_bytes() == b"a\\udcff"


@given(TEXTS)
def test_names_are_plain_short_and_stay_in_their_folder(case_id: str) -> None:
    name = safe_name(case_id)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*-[0-9a-f]{10}", name)
    assert len(name) <= 59
    assert Path("/out", name).parent == Path("/out")


@given(TEXTS, TEXTS)
def test_different_ids_never_share_a_name(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_names_are_readable_and_differ_by_case_of_letters() -> None:
    assert safe_name("P-17").startswith("P-17-")
    assert safe_name("p-17").lower() != safe_name("P-17").lower()
    assert safe_name("../../etc/passwd").startswith("etc-passwd-")


def test_a_sweep_takes_half_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in (".immunopath-ab.tmp", "in/.immunopath-cd.tmp", "in/mine.tmp", "result.json"):
        (tmp_path / name).write_text("x")
    sweep(tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert left == ["in/mine.tmp", "result.json"]


def test_a_small_file_is_read_and_what_is_none_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"12345")
    assert read_small(path, "a record", 5) == b"12345"
    with pytest.raises(CaseFileError, match="larger than 4 bytes; name a record"):
        read_small(path, "a record", 4)
    with pytest.raises(CaseFileError, match="a folder; name a record"):
        read_small(tmp_path, "a record")
    with pytest.raises(CaseFileError, match="no regular file; name a record"):
        read_small(Path("/dev/zero"), "a record")
    with pytest.raises(CaseFileError, match="no such file"):
        read_small(tmp_path / "none", "a record")


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="regular file"):
            open_regular(path)
        with pytest.raises(CaseFileError, match="no regular file"):
            read_small(path, "a thing")


def test_nothing_is_appended_through_a_link_or_to_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r".+"):
            open_to_append(tmp_path / name)
    with open_to_append(tmp_path / "log") as stream:
        stream.write("µ")
    assert (tmp_path / "log").read_text("utf-8") == "µ"
    assert (tmp_path / "victim").read_text() == "kept"


def test_sweeping_leaves_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / ".immunopath-mine.tmp").mkdir()
    sweep(tmp_path)
    assert (tmp_path / ".immunopath-mine.tmp").is_dir()


def test_a_file_with_holes_does_not_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(OSError, match="is larger than"):
        read_bounded(tmp_path / "sparse")
    with pytest.raises(CaseFileError, match="larger than 4000000 bytes"):
        read_small(tmp_path / "sparse", "a thing")
    (tmp_path / "exact").write_bytes(b"1234")
    assert read_bounded(tmp_path / "exact", 4) == b"1234"
    with pytest.raises(OSError, match="is larger than"):
        read_bounded(tmp_path / "exact", 3)


def test_a_high_limit_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"1234")
    tracemalloc.start()
    assert read_bounded(tmp_path / "small", 10**12) == b"1234"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_block_that_breaks_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    write_text(target, "old")
    with pytest.raises(TypeError), writing(target) as stream:
        stream.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert target.read_text("utf-8") == "old"
    with writing(target) as stream:
        stream.write(b"ne")
        stream.write(b"w")
    assert target.read_text("utf-8") == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_what_a_path_must_be_is_said_in_one_line(tmp_path: Path) -> None:
    empty, loop, pipe = tmp_path / "empty", tmp_path / "loop", tmp_path / "pipe"
    empty.touch()
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    require_file(empty, "a table")
    for path, fault in (
        (tmp_path / "none", "no such file"),
        (empty / "below", "no such file"),
        (tmp_path, "is a folder; name a table"),
        (pipe, "is no regular file; name a table"),
        (loop, "cannot be read"),
        (tmp_path / ("n" * 400), "cannot be read"),
        (tmp_path / "a\0b", "cannot be read"),
        (empty, r"is empty \(0 bytes\); name a table"),
    ):
        with pytest.raises(CaseFileError, match=fault):
            require_content(path, "a table")


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    for path in (tmp_path / "new", tmp_path / "a" / "b" / "new", tmp_path / "old"):
        require_place(path)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_place_that_cannot_be_written_is_refused_as_writing_would(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for path in (
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "plain" / "report.json",
        tmp_path / "gone" / "report.json",
        Path("/proc/immunopath/report.json"),
        tmp_path / ("n" * 400) / "r",
        Path("/dev/null"),
    ):
        with pytest.raises(OutputError, match=r"cannot be written|not a regular file"):
            require_place(path)
        with pytest.raises(OutputError, match=r"cannot be written|not a regular file"):
            write_bytes(path, b"x")
