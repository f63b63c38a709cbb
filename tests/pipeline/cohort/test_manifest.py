"""Manifests: every bad row named, nothing guessed, hostile cells harmless."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.domain.case import Case
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.pipeline.cohort.manifest import ManifestRow, read_manifest, rows_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"not opened here")
    return tmp_path


def read(folder: Path, text: str, name: str = "m.csv") -> tuple[ManifestRow, ...]:
    (folder / name).write_text(text, encoding="utf-8")
    return read_manifest(folder / name)


def test_a_good_row_becomes_the_case_it_says(folder: Path) -> None:
    text = (
        "case_id,patient_id,images,mpp,stage,drivers,diagnosed_on,metastatic_sites,pregnancy\n"
        'A,P1,a.png;b.png,0.25,IVB,EGFR:ex19del; ALK:negative,2026-01-02,"[brain, liver]",no\n'
    )
    row = read(folder, text)[0]
    assert row.problem == ""
    case = row.case
    assert case is not None
    assert case.images == (folder / "a.png", folder / "b.png")
    assert (case.mpp, case.patient_id, case.clinical.stage_group) == (0.25, "P1", "IVB")
    assert str(case.clinical.diagnosed_on) == "2026-01-02"


def test_an_empty_cell_is_unknown(folder: Path) -> None:
    row = read(folder, "case_id,images,stage,mpp\nA,a.png,,\n")[0]
    assert row.case == Case(case_id="A", images=(folder / "a.png",))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"case_id": ""}, "case_id: is empty"),
        ({"images": ""}, "names no image"),
        ({"images": "gone.png"}, "gone.png: no such file"),
        ({"images": "."}, "is a folder"),
        ({"images": "a.png", "slide": "b.png"}, "both 'images' and 'slide'"),
        ({"mpp": "20x"}, "mpp: '20x' is not a number"),
        ({"mpp": "400"}, "mpp 400"),
        ({"stage": "V"}, "stage"),
        ({"pdl1_tps": "150"}, "pdl1_tps"),
        ({"pdl1_tps": "0x10"}, "pdl1_tps"),
        ({"diagnosed_on": "2026-02-31"}, "is no date"),
        ({"metastatic_sites": "[brain"}, "is not a list"),
        ({"metastatic_sites": "[*a]"}, "is not a list"),
        ({"clinical": "gone.yaml"}, "gone.yaml"),
        ({"clinical": "c.yaml", "stage": "IVB"}, "give one of them"),
        ({"case_id": "x" * 300}, "case_id"),
        ({"images": "a.png\x00"}, "embedded null byte"),
    ],
)
def test_a_bad_row_says_what_is_wrong(folder: Path, cells: dict[str, str], said: str) -> None:
    good = {"case_id": "B", "images": "b.png"}
    lines = [json.dumps({"case_id": "A", "images": "a.png"} | cells), json.dumps(good)]
    bad, other = read(folder, "\n".join(lines), "m.jsonl")
    assert bad.case is None
    assert said in bad.problem
    assert other.problem == ""


def test_a_loop_of_links_is_a_bad_row(folder: Path) -> None:
    (folder / "loop").symlink_to(folder / "loop")
    row = read(folder, "case_id,images\nA,loop\n")[0]
    assert row.case is None
    assert row.problem


@pytest.mark.parametrize("twin", ["A", "A\u200b", "Ａ"])
def test_ids_that_are_or_look_alike_are_both_refused(folder: Path, twin: str) -> None:
    rows = read(folder, f"case_id,images\nA,a.png\nB,b.png\n{twin},b.png\n")
    assert [row.case is None for row in rows] == [True, False, True]
    assert "also stands in row 3" in rows[0].problem


def test_cases_of_one_id_are_refused_in_python(folder: Path) -> None:
    case = Case(case_id="a", images=(folder / "a.png",))
    with pytest.raises(InputError, match="more than once"):
        rows_of([case, case])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "case_id,images,tps\n", "did you mean 'pdl1_tps'"),
        ("m.csv", "case_id,images,images\n", "appears twice"),
        ("m.csv", "case_id,images\n", "holds no case"),
        ("m.xlsx", "case_id", "ends in .csv"),
        ("m.jsonl", "[1]\n", "line 1 is no object"),
        ("m.jsonl", "{", "is not JSON lines"),
        ("m.parquet", "PAR1", "is not a Parquet file"),
    ],
)
def test_what_spoils_the_whole_file_stops_it(folder: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(CaseFileError, match=said):
        read(folder, text, name)


def test_a_row_with_a_cell_too_many_is_a_bad_row(folder: Path) -> None:
    rows = read(folder, "case_id,images\nA,a.png,x\nB,b.png\n")
    assert [row.case is None for row in rows] == [True, False]
    assert "more cells" in rows[0].problem


def test_every_format_says_the_same(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [{"case_id": "A", "images": "a.png", "mpp": "0.5", "stage": "IVB"}]
    pq.write_table(pa.Table.from_pylist(cells), folder / "m.parquet")
    found = [
        read(folder, "case_id,images,mpp,stage\nA,a.png,0.5,IVB\n", "m.csv"),
        read(folder, "case_id\timages\tmpp\tstage\nA\ta.png\t0.5\tIVB\n", "m.tsv"),
        read(folder, json.dumps(cells[0]), "m.jsonl"),
        read_manifest(folder / "m.parquet"),
    ]
    assert all(rows == found[0] for rows in found)
    assert found[0][0].problem == ""


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(["case_id", "images", "mpp", "stage"]), st.text())))
def test_no_text_in_a_cell_escapes_as_anything_but_a_row(
    folder: Path, cells: list[dict[str, str]]
) -> None:
    (folder / "h.jsonl").write_text("\n".join(json.dumps(c) for c in [{"case_id": "A"}, *cells]))
    rows = read_manifest(folder / "h.jsonl")
    assert len(rows) == 1 + len(cells)
    assert all((row.case is None) == bool(row.problem) for row in rows)


def test_a_cohort_of_one_id_is_refused_row_by_row_and_at_once(folder: Path) -> None:
    rows = read(folder, "case_id,images\n" + "same,a.png\n" * 20_000)
    assert len(rows) == 20_000
    assert all("also stands in row" in row.problem for row in rows)
    assert rows[0].problem.count(",") < 25


def test_many_or_endless_columns_are_one_short_line(folder: Path) -> None:
    for names in ("case_id," + "mpp," * 50_000, "case_id,images," + "m" * 90_000):
        with pytest.raises(CaseFileError, match="column") as caught:
            read(folder, names + "\n")
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"case_id": ["x"], "images": "a.png"}', "neither text nor a whole number"),
        ('{"case_id": true, "images": "a.png"}', "neither text nor a whole number"),
        ('{"case_id": "A", "images": ["a.png", null]}', "neither a path nor a list"),
        ('{"case_id": "A", "images": {"a": 1}}', "neither a path nor a list"),
    ],
)
def test_cells_of_another_type_are_named(folder: Path, line: str, said: str) -> None:
    assert said in read(folder, line, "m.jsonl")[0].problem


def test_a_key_twice_in_a_json_line_is_refused(folder: Path) -> None:
    with pytest.raises(CaseFileError, match="a key twice"):
        read(folder, '{"case_id": "A", "case_id": "B", "images": "a.png"}', "m.jsonl")
