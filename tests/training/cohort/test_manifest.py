from pathlib import Path

import pytest

from immunopath.domain.errors import CohortError, DuplicatePatient
from immunopath.training.cohort.manifest import (
    ManifestRow,
    read_areas,
    read_manifest,
    with_split,
    write_manifest,
)
from immunopath.training.tiles.inputs import collect


def given(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_site_of_a_barcode_is_filled_in(tmp_path: Path) -> None:
    rows = read_manifest(given(tmp_path, "patient_id,site\nTCGA-05-4244,\nTCGA-44-2668,9\n7,\n"))
    assert [row.site for row in rows] == ["05", "9", ""]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = (
        ManifestRow(
            patient_id="TCGA-05-4244",
            cancer_type="LUAD",
            site="05",
            slides=("a/one.svs", "b/two, three.svs"),
            expression="c/x.tsv",
            aliquot="TCGA-05-4244-01A-01R-1107-07",
            md5="ab",
        ),
        ManifestRow(patient_id="own 7", split="val"),
    )
    path = tmp_path / "m.csv"
    write_manifest(path, rows)
    assert read_manifest(path) == rows
    assert rows[0].slide_ids == ("one", "two, three")


def test_slides_have_the_ids_that_their_tiles_will_have(tmp_path: Path) -> None:
    long = "x" * 400
    path = given(tmp_path, f"patient_id,slides\na,one.svs;sub/two.tif\nb,{long}.svs\n")
    ids = [slide for row in read_manifest(path) for slide in row.slide_ids]
    assert ids == [slide.slide_id for slide in collect([path])]


def test_an_own_cohort_needs_only_a_patient_column(tmp_path: Path) -> None:
    rows = read_manifest(given(tmp_path, "patient_id\texpression\n7\tx.tsv\n8\tNA\n"))
    assert [(r.patient_id, r.expression) for r in rows] == [("7", "x.tsv"), ("8", "")]


def test_a_given_split_is_taken_over() -> None:
    rows = (ManifestRow(patient_id="a"), ManifestRow(patient_id="b"))
    placed = with_split(rows, {"a": "val", "b": "train", "more": "test"})
    assert [row.split for row in placed] == ["val", "train"]
    with pytest.raises(CohortError, match=r"1 patient is in no split file \(b\)"):
        with_split(rows, {"a": "val"})


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("a,x.tsv,\na,y.tsv,", "patient a stands on line 2 too"),
        ("TCGA-05-4244,x.tsv,\nTCGA-05-4244-01A,y.tsv,", "patient TCGA-05-4244 stands on line 2"),
        ("a,x.tsv,\nb,x.tsv,", "expression file x.tsv stands on line 2"),
        ("a,x.tsv,s.svs\nb,y.tsv,r.svs;s.svs", "slide s.svs stands on line 2"),
    ],
)
def test_duplicates_are_named_with_both_lines(tmp_path: Path, rows: str, what: str) -> None:
    path = given(tmp_path, f"patient_id,expression,slides\n{rows}\n")
    with pytest.raises(DuplicatePatient, match=f"line 3: {what}"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,slides\n1,a\n", "id is none of them"),
        ("slides,site\na,b\n", "patient_id is missing"),
        ("patient_id,split\n1,training\n", "line 2: split"),
        ("patient_id,site\n,05\n", "line 2: patient_id"),
    ],
)
def test_a_bad_manifest_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CohortError, match=message):
        read_manifest(given(tmp_path, text))


def test_areas(tmp_path: Path) -> None:
    assert read_areas(given(tmp_path, "slide,tissue_area\na.svs,12.5\n")) == {"a.svs": 12.5}
    for rows, kind in (("a,1\na,2", DuplicatePatient), ("a,-1", CohortError), ("a,x", CohortError)):
        with pytest.raises(kind):
            read_areas(given(tmp_path, f"slide,tissue_area\n{rows}\n"))
