"""A manifest of a thousand hostile rows: each is recorded, and nothing leaves the folder."""

import csv
import json
import tracemalloc
from pathlib import Path

import pytest
from hostile_cohort import DIFFER, ROWS, TWINS, hostile_rows, make_hostile
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError
from immunopath.pipeline.cohort.manifest import read_manifest

LUNG = "lung_he_til/u24_cae100/image_99.png"


@pytest.fixture
def folder(tmp_path: Path, shared_images: Path) -> Path:
    return make_hostile(tmp_path / "in", shared_images / LUNG)


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
