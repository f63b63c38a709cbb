"""An atlas on disk: round trip, and every kind of damage found."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pixel_store import ENCODER, entry, random_unit

from immunopath.domain.errors import EngineUnavailable, OutputError
from immunopath.models.atlas import Atlas, load_atlas

LABELS = {"til_density": "high", "til_fraction": 0.25}


def atlas() -> Atlas:
    entries = [
        entry(i, labels=LABELS, label_quantity="lymphocyte_share_of_nuclei", patient_id="Ä\n<b>")
        for i in range(5)
    ]
    return Atlas.build(entries, random_unit(5), ENCODER, "test")


def rewrite(path: Path, member: str, change: Callable[[bytes], bytes]) -> None:
    """Replace one member, checksums of the zip made right again."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content[member] = change(content[member])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_round_trip_as_file_and_as_folder(tmp_path: Path) -> None:
    made = atlas()
    for target, file in ((tmp_path / "a.atlas", "a.atlas"), (tmp_path / "d", "d/index.atlas")):
        assert made.save(target) == tmp_path / file
        read = Atlas.load(target)
        assert read.entries == made.entries
        assert read.atlas_id == made.atlas_id
        assert read.encoder == made.encoder
        assert (read.vectors == made.vectors).all()


def test_equal_atlases_give_equal_bytes(tmp_path: Path) -> None:
    first, second = atlas().save(tmp_path / "1.atlas"), atlas().save(tmp_path / "2.atlas")
    assert first.read_bytes() == second.read_bytes()


def test_saving_leaves_no_temporary_file_and_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a.atlas"
    target.write_bytes(b"old")
    atlas().save(target)
    assert [p.name for p in tmp_path.iterdir()] == ["a.atlas"]
    assert len(Atlas.load(target)) == 5


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        atlas().save(tmp_path / "file" / "a.atlas")


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("vectors.f32", lambda b: b[:-4] + b[:4]),
        ("vectors.f32", lambda b: b[4 * 8 :] + b[: 4 * 8]),
        ("vectors.f32", lambda b: b[:-4]),
        ("vectors.f32", lambda b: b""),
        ("entries.jsonl", lambda b: b.replace(b"high", b"low")),
        ("entries.jsonl", lambda b: b.replace(b"CC0 1.0", b"my own")),
        ("entries.jsonl", lambda b: b"\n".join(b.splitlines()[:-1]) + b"\n"),
        ("entries.jsonl", lambda b: b.replace(b'"labels"', b'"lables"')),
        ("entries.jsonl", lambda b: b"\xff\xfe"),
        ("atlas.json", lambda b: b.replace(b'"revision": "1"', b'"revision": "2"')),
        ("atlas.json", lambda b: b.replace(b'"count": 5', b'"count": 4')),
        ("atlas.json", lambda b: b.replace(b"immunopath-atlas-1", b"immunopath-atlas-9")),
        ("atlas.json", lambda b: b"{}"),
    ],
)
def test_a_changed_bundle_is_found(
    tmp_path: Path, member: str, change: Callable[[bytes], bytes]
) -> None:
    path = atlas().save(tmp_path / "a.atlas")
    before = path.read_bytes()
    rewrite(path, member, change)
    assert path.read_bytes() != before
    with pytest.raises(EngineUnavailable, match=r"a\.atlas"):
        Atlas.load(path)


def test_an_untouched_rewrite_still_loads(tmp_path: Path) -> None:
    path = atlas().save(tmp_path / "a.atlas")
    rewrite(path, "vectors.f32", lambda b: b)
    assert len(Atlas.load(path)) == 5


def test_truncation_and_flipped_bits_are_found(tmp_path: Path) -> None:
    path = atlas().save(tmp_path / "a.atlas")
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    for damaged in (data[: len(data) // 2], data[:-1], b"", b"PK", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(EngineUnavailable):
            Atlas.load(path)


def test_a_missing_atlas_names_the_command_that_makes_one(tmp_path: Path) -> None:
    for place in (tmp_path / "none", tmp_path / "none.atlas", tmp_path):
        with pytest.raises(EngineUnavailable, match="atlas build"):
            load_atlas(place)
