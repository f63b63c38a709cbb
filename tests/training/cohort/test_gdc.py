import json
from pathlib import Path

import pytest
from rna_cohort import hit, write_metadata

from immunopath.domain.errors import CohortError
from immunopath.training.cohort.gdc import read_gdc

STAR = "0f.rna_seq.augmented_star_gene_counts.tsv"


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_client_manifest_names_slides_only(tmp_path: Path) -> None:
    path = table(
        tmp_path / "gdc_manifest.txt",
        "id\tfilename\tmd5\tsize\tstate",
        "a1\tTCGA-05-4244-01Z-00-DX1.D4FF.svs\tAB12\t10\treleased",
        f"b2\t{STAR}\tcd34\t20\treleased",
    )
    slide, counts = read_gdc([path])
    assert (slide.kind, str(slide.barcode)) == ("slide", "TCGA-05-4244-01Z-00-DX1")
    assert slide.md5 == "ab12"
    assert slide.path == "a1/TCGA-05-4244-01Z-00-DX1.D4FF.svs"
    assert (counts.kind, counts.barcode, counts.patients) == ("expression", None, ())


@pytest.mark.parametrize(
    ("columns", "cells", "barcode"),
    [
        ("Sample ID\tSample Type", "TCGA-05-4244-01A\tPrimary Tumor", "TCGA-05-4244-01A"),
        ("Sample ID\tTissue Type\tTumor Descriptor", "TCGA-05-4244-11A\tNormal\tNot Applicable",
         "TCGA-05-4244-11A"),
        ("Sample Type", "Metastatic", "TCGA-05-4244-06"),
        ("Tissue Type\tTumor Descriptor", "Tumor\tPrimary", "TCGA-05-4244-01"),
        ("Tissue Type\tTumor Descriptor", "Normal\tNot Applicable", "TCGA-05-4244-11"),
        ("Tissue Type\tTumor Descriptor", "Tumor\tMetastatic", "TCGA-05-4244-06"),
        ("Sample Type", "Something New", "TCGA-05-4244"),
    ],
)  # fmt: skip
def test_sample_sheets_of_both_generations(
    tmp_path: Path, columns: str, cells: str, barcode: str
) -> None:
    path = table(
        tmp_path / "sheet.tsv",
        f"File ID\tFile Name\tData Type\tProject ID\tCase ID\t{columns}",
        f"b2\t{STAR}\tGene Expression Quantification\tTCGA-LUAD\tTCGA-05-4244\t{cells}",
    )
    (found,) = read_gdc([path])
    assert str(found.barcode) == barcode
    assert (found.patients, found.project) == (("TCGA-05-4244",), "TCGA-LUAD")


def test_metadata_of_the_cart_reaches_down_to_the_aliquot(tmp_path: Path) -> None:
    aliquot = "TCGA-05-4244-01A-01R-1107-07"
    path = write_metadata(tmp_path / "m.json", [hit("b2", STAR, aliquot)])
    (found,) = read_gdc([path])
    assert str(found.barcode) == aliquot
    assert found.project == "TCGA-LUAD"


def test_the_files_endpoint_as_json_and_as_tsv(tmp_path: Path) -> None:
    case = {
        "submitter_id": "TCGA-05-4244",
        "project": {"project_id": "TCGA-LUAD"},
        "samples": [{"sample_type": "Solid Tissue Normal"}],
    }
    hits = {"data": {"hits": [{"file_id": "b2", "file_name": STAR, "cases": [case]}]}}
    as_json = tmp_path / "files.json"
    as_json.write_text(json.dumps(hits), encoding="utf-8")
    as_tsv = table(
        tmp_path / "files.tsv",
        "file_id\tfile_name\tcases.0.submitter_id\tcases.0.project.project_id"
        "\tcases.0.samples.0.sample_type",
        f"b2\t{STAR}\tTCGA-05-4244\tTCGA-LUAD\tSolid Tissue Normal",
    )
    for path in (as_json, as_tsv):
        (found,) = read_gdc([path])
        assert str(found.barcode) == "TCGA-05-4244-11"
        assert found.project == "TCGA-LUAD"


def test_any_column_may_name_the_barcode_and_uuids_do_not(tmp_path: Path) -> None:
    """The columns of the published run's own list, and of a table made with TCGAbiolinks."""
    uuid = "0a1b2c3d-0000-4000-8000-000000000000"
    own = table(
        tmp_path / "slide_metadata.csv",
        "file_id,file_name,file_size_gb,case_id,submitter_id,project_id",
        f"b2,{STAR},0.1,{uuid},TCGA-05-4244,TCGA-LUAD",
    )
    biolinks = table(
        tmp_path / "b.tsv",
        "id\tfile_name\tcases\tsample_type\tproject",
        f"b2\t{STAR}\tTCGA-05-4244-01A-01R-1107-07\tPrimary Tumor\tTCGA-LUAD",
    )
    assert [str(f.barcode) for f in read_gdc([own])] == ["TCGA-05-4244"]
    (found,) = read_gdc([biolinks])
    assert str(found.barcode) == "TCGA-05-4244-01A-01R-1107-07"
    assert found.project == "TCGA-LUAD"


def test_expression_files_without_tpm_are_none(tmp_path: Path) -> None:
    path = table(
        tmp_path / "s.tsv",
        "file_id\tfile_name\tdata_type\tsubmitter_id",
        "a\tx.htseq.counts.gz\tGene Expression Quantification\tTCGA-05-4244-01A",
        "b\tx.FPKM-UQ.txt.gz\tGene Expression Quantification\tTCGA-05-4244-01A",
        "c\tx.tsv.gz\tGene Expression Quantification\tTCGA-05-4244-01A",
    )
    assert [f.kind for f in read_gdc([path])] == ["other", "other", "expression"]


def test_lists_of_the_same_files_complete_each_other(tmp_path: Path) -> None:
    manifest = table(tmp_path / "m.txt", "id\tfilename\tmd5\tsize\tstate", f"b2\t{STAR}\tcd\t1\tx")
    metadata = write_metadata(
        tmp_path / "m.json", [hit("b2", STAR, "TCGA-05-4244-01A-01R-1107-07")]
    )
    for paths in ([manifest, metadata], [metadata, manifest]):
        (found,) = read_gdc(paths)
        assert (found.md5, str(found.barcode)) == ("cd", "TCGA-05-4244-01A-01R-1107-07")


def test_lists_that_contradict_each_other_are_an_error(tmp_path: Path) -> None:
    one = write_metadata(tmp_path / "1.json", [hit("b2", STAR, "TCGA-05-4244-01A")])
    other = write_metadata(tmp_path / "2.json", [hit("b2", STAR, "TCGA-05-4249-01A")])
    with pytest.raises(CohortError, match=r"belongs to TCGA-05-4249, but to TCGA-05-4244 in 1"):
        read_gdc([one, other])


def test_pooled_material_keeps_all_its_patients(tmp_path: Path) -> None:
    path = table(
        tmp_path / "sheet.tsv",
        "File ID\tFile Name\tCase ID\tSample ID",
        f"b2\t{STAR}\tTCGA-05-4244, TCGA-05-4249\tTCGA-05-4244-01A, TCGA-05-4249-01A",
    )
    (found,) = read_gdc([path])
    assert found.patients == ("TCGA-05-4244", "TCGA-05-4249")


def test_material_of_tumour_and_normal_has_no_sample(tmp_path: Path) -> None:
    path = table(
        tmp_path / "sheet.tsv",
        "File ID\tFile Name\tCase ID\tSample ID",
        f"b2\t{STAR}\tTCGA-05-4244, TCGA-05-4244\tTCGA-05-4244-01A, TCGA-05-4244-11A",
    )
    (found,) = read_gdc([path])
    assert found.barcode is None
    assert found.patients == ("TCGA-05-4244",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no row"),
        ("a\tb\n1\t2\n", "no file id or file name"),
        ("[]", "lists no file"),
        ("[1]", "no list of files"),
        ('{"data": {"hits": 3}}', "no list of files"),
        ("[{}]", "has no file_name"),
        ("{", "is no JSON"),
        ("id\tfilename\na\n", "line 2: 1 column where the header has 2"),
        ("id\tid\tfilename\na\tb\tc\n", "column id stands there twice"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match=message):
        read_gdc([path])


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no such file"):
        read_gdc([tmp_path / "none.tsv"])


@pytest.mark.parametrize(
    ("file_id", "name"),
    [
        ("a1", "../../etc/TCGA-05-4244-01Z-00-DX1.svs"),
        ("a1", "/etc/passwd.star_gene_counts.tsv"),
        ("a1", "..\\TCGA-05-4244-01Z-00-DX1.svs"),
        ("..", "TCGA-05-4244-01Z-00-DX1.svs"),
        ("a/../..", "TCGA-05-4244-01Z-00-DX1.svs"),
        ("a1", "TCGA-05-4244-01Z-00-DX1.svs\0.svs"),
    ],
)
def test_a_file_that_leads_out_of_its_folder_is_refused(
    tmp_path: Path, file_id: str, name: str
) -> None:
    """The cohort manifest would lead `build` to any file of the machine."""
    rows = table(tmp_path / "m.txt", "id\tfilename\tmd5", f"{file_id}\t{name}\tab")
    (tmp_path / "m.json").write_text(json.dumps([{"file_id": file_id, "file_name": name}]))
    for path in (rows, tmp_path / "m.json"):
        with pytest.raises(CohortError, match=r"is no file name or id but a path"):
            read_gdc([path])
