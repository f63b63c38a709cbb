"""Slides from the command line and from manifests."""

from pathlib import Path

import pytest

from immunopath.domain.errors import CaseFileError, CohortError, ImmunoPathError
from immunopath.training.tiles.inputs import SlideInput, collect, patient_of


def manifest(tmp_path: Path, text: str, name: str = "slides.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_files_are_named_after_themselves() -> None:
    slides = collect([Path("a/S1.svs"), Path("a/TCGA-05-4244-01Z-00-DX1.d4ff.svs")], 0.25)
    assert [(s.slide_id, s.patient_id, s.mpp) for s in slides] == [
        ("S1", "S1", 0.25),
        ("TCGA-05-4244-01Z-00-DX1.d4ff", "TCGA-05-4244", 0.25),
    ]


def test_a_row_overrides_the_scale(tmp_path: Path) -> None:
    path = manifest(tmp_path, "slide,patient_id,mpp,slide_id\nx/a.svs,P1,0.23,S1\nb.svs,,,\n")
    assert collect([path], 0.5) == (
        SlideInput("S1", "P1", tmp_path / "x/a.svs", 0.23),
        SlideInput("b", "b", tmp_path / "b.svs", 0.5),
    )
    tsv = manifest(tmp_path, "slide\tmpp\n/data/a.svs\t\n", "s.tsv")
    assert collect([tsv]) == (SlideInput("a", "a", Path("/data/a.svs"), None),)


def test_the_manifest_of_a_cohort_names_slides_by_patient(tmp_path: Path) -> None:
    text = "patient_id,cancer_type,slides\nP1,LUAD,a.svs; b.svs\nP2,LUSC,\nP3,LUSC,c/d.svs\n"
    path = manifest(tmp_path, text)
    assert collect([path], 0.25, tmp_path / "wsi") == (
        SlideInput("a", "P1", tmp_path / "wsi/a.svs", 0.25),
        SlideInput("b", "P1", tmp_path / "wsi/b.svs", 0.25),
        SlideInput("d", "P3", tmp_path / "wsi/c/d.svs", 0.25),
    )
    with pytest.raises(CohortError, match="patient P1 stands on line 2 too"):
        collect([manifest(tmp_path, text + "P1,LUAD,e.svs\n")])


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    path = manifest(tmp_path, "slide,mpp\na.svs,fine\n,\nb.svs,40\nc.svs,0.5,1\nd.svs,nan\n")
    with pytest.raises(CaseFileError) as caught:
        collect([path])
    said = str(caught.value)
    for part in (
        "line 2: mpp 'fine' is no number",
        "line 3: the cell 'slide' names no file",
        "line 4: mpp 40 is not a resolution",
        "line 5: has more cells",
        "line 6: mpp nan",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "no column 'slide'"), ("", "no column"), ("slide\n", "no slide was given")],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CaseFileError, match=said):
        collect([manifest(tmp_path, text)])


def test_missing_binary_and_twice(tmp_path: Path) -> None:
    with pytest.raises(ImmunoPathError, match="no such file"):
        collect([tmp_path / "none.csv"])
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00slide")
    with pytest.raises(CaseFileError, match="no UTF-8 text"):
        collect([tmp_path / "b.csv"])
    with pytest.raises(CaseFileError, match=r"slide id 'a' stands for x/a.svs and y/a.svs"):
        collect([Path("x/a.svs"), Path("y/a.svs")])


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("TCGA-05-4244-01Z-00-DX1", "TCGA-05-4244"),
        ("TCGA-05-4244", "TCGA-05-4244"),
        ("TCGA-05-42445", "TCGA-05-42445"),
        ("CMU-1", "CMU-1"),
    ],
)
def test_the_patient_of_a_name(name: str, patient: str) -> None:
    assert patient_of(name) == patient
