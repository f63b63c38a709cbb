"""A manifest of a thousand hostile rows: each is recorded, and nothing leaves the folder."""

import csv
import json
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError
from immunopath.pipeline.cohort.manifest import read_manifest

LUNG = "lung_he_til/u24_cae100/image_99.png"
ROWS = 1000
SIGNS = ("=", "+", "-", "@", "\t=", "\r=", " =", "=HYPERLINK")
CLINICAL = (
    "histology", "stage", "drivers", "pdl1_tps", "tmb", "msi", "ecog", "diagnosed_on",
    "metastatic_sites", "prior_therapies", "line",
)  # fmt: skip
HOSTILE_IDS = (
    "CON", "nul.json", "..", ".", "a/b", "/etc/passwd", "C:\\x", "~", "a\x00b", "x" * 190,
    "\u202egnp.exe", "🦠", "'; DROP TABLE", "<script>", "${HOME}", "%2e%2e", "\ud800",
)  # fmt: skip
TWINS = ("twin", "twin", "caf\u00e9", "cafe\u0301", "ﬁn", "fin", "A\u200bB", "AB")
DIFFER = ("Same", "same", "SAME")
"""Ids that differ in case only are different: so are the names of their files."""


def huge_png() -> bytes:
    """A PNG that claims 60 000 x 60 000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.fixture
def folder(tmp_path: Path, shared_images: Path) -> Path:
    """A folder of files that nobody should have to read."""
    made = tmp_path / "in"
    made.mkdir()
    (made / "loop_a").symlink_to("loop_b")
    (made / "loop_b").symlink_to("loop_a")
    (made / "self").symlink_to("self")
    (made / "up").symlink_to("..")
    (made / "zero").symlink_to("/dev/zero")
    (made / "kernel").symlink_to("/proc/kmsg")
    os.mkfifo(made / "pipe")
    (made / "huge.png").write_bytes(huge_png())
    (made / "cut.png").write_bytes((shared_images / LUNG).read_bytes()[:4000])
    (made / "text.png").write_text("no image")
    (made / "empty.png").touch()
    with (made / "holes.png").open("wb") as stream:
        stream.truncate(10**12)
    (made / "good.png").write_bytes((shared_images / LUNG).read_bytes())
    (tmp_path / "secret.yaml").write_text("stage: IVB\n")
    return made


def hostile_rows() -> list[dict[str, object]]:
    good = "good.png"
    rows: list[dict[str, object]] = [{"case_id": name, "images": good} for name in HOSTILE_IDS]
    rows += [{"case_id": name, "images": good} for name in (*TWINS, *DIFFER)]
    rows += [{"case_id": f"{sign}cmd|1", "patient_id": f"{sign}2", "images": good}
             for sign in SIGNS]  # fmt: skip
    files = ("loop_a", "self", "up/up/up", "zero", "kernel", "pipe", "huge.png", "cut.png",
             "text.png", "empty.png", "holes.png", "../../../../etc/passwd", "/etc/shadow",
             "gone.png", ".", "a\x00b", "x" * 300, "=1+1", "good.png;zero", ";", "http://x/y.png",
             "\\\\host\\share")  # fmt: skip
    rows += [{"case_id": f"file {n}", "images": name} for n, name in enumerate(files)]
    rows += [{"case_id": f"{key} {sign}", "images": good, key: f"{sign}1+1"}
             for key in CLINICAL for sign in SIGNS[:5]]  # fmt: skip
    yamls = ("pipe", "zero", "loop_a", "kernel", "huge.png", "../secret.yaml")
    rows += [{"case_id": f"clinical {n}", "images": good, "clinical": name}
             for n, name in enumerate(yamls)]  # fmt: skip
    rows += [{"case_id": "", "images": good}, {"images": good}, {"case_id": 1.5, "images": good}]
    rows += [{"case_id": f"mpp {n}", "images": good, "mpp": value}
             for n, value in enumerate(("=0.5", "NaN", "inf", -1, 0, "1e400", True))]  # fmt: skip
    number = 0
    while len(rows) < ROWS:
        kind = files[number % len(files)]
        rows.append({"case_id": f"{SIGNS[number % 8]}fill {number}", "images": kind})
        number += 1
    return rows


def tree(root: Path, skip: Path) -> set[Path]:
    return {path for path in root.rglob("*") if skip not in (path, *path.parents)}


def cells_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        lines = (line for line in stream if not line.startswith("# "))
        return list(csv.DictReader(lines))


def test_every_row_is_recorded_and_nothing_is_written_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    rows = hostile_rows()
    assert len(rows) == ROWS
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = tree(tmp_path, out)
    words = ["cohort", str(folder / "m.jsonl"), "-o", str(out), "--no-html", "--quiet"]
    words += ["--predictor", "none", "--embedder", "none", "--phenotype", "none"]
    done = CliRunner().invoke(app, [*words, "--as-of", "2026-11-24"])
    assert done.exit_code == 4, done.output
    assert tree(tmp_path, out) == before

    lines = cells_of(out / "cohort.csv")
    assert {int(line["row"]) for line in lines} == set(range(1, ROWS + 1))
    ends = {int(line["row"]): line for line in lines}
    assert all(line["reason"] for line in lines if line["status"] == "failed")
    done_ids = [rows[n - 1]["case_id"] for n, end in ends.items() if end["status"] != "failed"]
    assert set(DIFFER) <= set(done_ids)
    assert not set(TWINS) & set(done_ids)
    reports = list(out.glob("cases/*.json"))
    assert len(reports) == len(done_ids) == len(set(done_ids))
    assert {json.loads(path.read_text())["case_id"] for path in reports} == set(done_ids)
    assert {path.parent for path in out.rglob("*") if path.is_file()} == {
        out, out / "cases", out / "records",
    }  # fmt: skip
    for table in ("cohort.csv", "worklist.csv"):
        for line in cells_of(out / table):
            for cell in line.values():
                number = cell.lstrip("-").replace(".", "", 1).replace("e-", "").isdigit()
                assert number or not cell.lstrip().startswith(("=", "+", "-", "@")), cell
                assert cell.isprintable()
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("case_id,images\nA,good.png\n".encode("utf-16"), "is not UTF-8"),
        ("case_id,images\nA,good.png\n".encode("utf-16-le"), "unknown column"),
        (b"case_id,images\nA,\xff\xfe\n", "is not UTF-8"),
        (b"\x00" * 4096, "column"),
        (b'case_id,images\n"A,good.png\n', "unexpected end"),
    ],
)
def test_bytes_that_are_no_table_stop_it_in_one_line(folder: Path, data: bytes, said: str) -> None:
    (folder / "m.csv").write_bytes(data)
    with pytest.raises(CaseFileError, match=said) as caught:
        read_manifest(folder / "m.csv")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_byte_order_mark_is_no_part_of_the_first_column(folder: Path) -> None:
    for name, text in (
        ("m.csv", "case_id,images\nA,good.png\n"),
        ("m.tsv", "case_id\timages\nA\tgood.png\n"),
        ("m.jsonl", '{"case_id": "A", "images": "good.png"}\n'),
    ):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        [row] = read_manifest(folder / name)
        assert (row.case_id, row.problem) == ("A", "")


def test_nul_bytes_in_a_csv_are_a_bad_row(folder: Path) -> None:
    (folder / "m.csv").write_bytes(b"case_id,images\nA,go\x00od.png\nB\x00,good.png\nC,good.png\n")
    first, second, third = read_manifest(folder / "m.csv")
    assert first.case is None
    assert "null" in first.problem
    assert (second.case_id, second.problem) == ("B\x00", "")  # an id may hold anything
    assert third.problem == ""


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
def test_a_large_manifest_without_a_line_end_does_not_fill_the_memory(
    folder: Path, name: str
) -> None:
    with (folder / name).open("wb") as stream:
        stream.write(b"case_id,images\n" if name != "m.jsonl" else b"")
        stream.truncate(200_000_000)
    tracemalloc.start()
    with pytest.raises(CaseFileError, match=r"more than 1000000 characters|column"):
        read_manifest(folder / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000
