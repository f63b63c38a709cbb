"""``immunopath cohort-data``: from file lists to a labelled cohort, and what it refuses."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rna_cohort import hit, make_cohort, write_calls, write_files, write_metadata
from typer.testing import CliRunner, Result

from immunopath.cli.main import app
from immunopath.training.samples import Sample, read_samples, write_samples

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests/data/rna/open_labels_cut.tsv"
COHORT = make_cohort(40, seed=4)


def shell(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the real entry point, where an error becomes one line and exit code 2."""
    command = [sys.executable, "-m", "immunopath", "cohort-data", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def inside(*args: object) -> Result:
    return CliRunner().invoke(app, ["cohort-data", *map(str, args)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort")
    hits = write_files(path / "rna", COHORT)
    first = COHORT.patients[0]
    normal = f"{first}-11A-11R-A123-07"
    hits.append(hit("normal", "n.rna_seq.augmented_star_gene_counts.tsv", normal))
    hits.append(hit("frozen", f"{first}-01A-01-TS1.A.svs", f"{first}-01A-01-TS1"))
    write_metadata(path / "files.json", hits)
    write_calls(path / "calls.tsv", COHORT)
    done = inside("manifest", path / "files.json", "-o", path / "cohort.csv")
    assert done.exit_code == 0, done.output
    return path


def build(folder: Path, out: Path, *more: object) -> Result:
    return inside(
        "build", folder / "cohort.csv", "-o", out, "--rna", folder / "rna",
        "--calls", folder / "calls.tsv", "--fractions", "0.6,0.2,0.2", *more,
    )  # fmt: skip


def test_the_manifest_lists_patients_and_what_was_left_out(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "cohort.csv").open()))
    assert [row["patient_id"] for row in rows] == sorted(COHORT.patients)
    dropped = list(csv.DictReader((folder / "cohort.dropped.csv").open()))
    assert {row["file_id"]: row["reason"] for row in dropped} == {
        "normal": "normal tissue",
        "frozen": "diagnostic slide preferred",
    }
    again = inside("manifest", folder / "files.json", "-o", folder / "again.csv")
    assert "82 files: 40 patients in again.csv, 2 files left out" in again.output
    assert "normal tissue" in again.output


def test_a_cohort_is_built_checked_and_labelled_anew(folder: Path, tmp_path: Path) -> None:
    first = build(folder, tmp_path / "a")
    assert first.exit_code == 0, first.output
    assert "train 24, val 8, test 8; 0 left out" in first.output
    assert "8 MSI-H, 32 MSS, 0 unknown" in first.output
    checked = inside("check", tmp_path / "a")
    assert checked.exit_code == 0
    assert "no leak between splits (40 of 40 patients in a split, 0 tiles)" in checked.output
    stored = build(folder, tmp_path / "b", "--constants", tmp_path / "a/labels.json")
    assert stored.exit_code == 0, stored.output
    old, new = (read_samples(tmp_path / name / "samples.jsonl") for name in "ab")
    assert [s.labels for s in old] == [s.labels for s in new]
    pairs = [(s.split, t.split) for s, t in zip(old, new, strict=True)]
    assert set(pairs) == {("train", "train"), ("val", "test"), ("test", "test")}


def test_a_split_is_kept_for_other_labels(folder: Path, tmp_path: Path) -> None:
    assert build(folder, tmp_path / "a").exit_code == 0
    kept = build(
        folder, tmp_path / "b", "--splits", tmp_path / "a/splits", "--variant", "card", "--seed", 9
    )
    assert kept.exit_code == 0, kept.output
    old, new = (read_samples(tmp_path / name / "samples.jsonl") for name in "ab")
    assert [s.split for s in old] == [s.split for s in new]
    assert [s.label("til_fraction") for s in old] != [s.label("til_fraction") for s in new]
    assert [s.label("til_density") for s in old] == [s.label("til_density") for s in new]


def test_a_cohort_without_split_cannot_be_checked(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.jsonl", [Sample(patient_id="a", labels={})])
    done = inside("check", tmp_path)
    assert "no patient lies in a split" in str(done.exception)


def test_a_site_in_two_splits_is_one_line_and_exit_code_2(folder: Path, tmp_path: Path) -> None:
    assert build(folder, tmp_path / "mixed").exit_code == 0
    done = shell("check", tmp_path / "mixed", "--by-site")
    assert done.returncode == 2
    assert done.stderr.startswith("immunopath: site 1")
    assert done.stderr.count("\n") == 1
    assert build(folder, tmp_path / "whole", "--by-site").exit_code == 0
    assert inside("check", tmp_path / "whole", "--by-site").exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--variant", "v9"), "--variant 'v9'"),
        (("--fractions", "a,b"), "give three numbers"),
        (("--fractions", "0.5,0.5"), "--fractions"),
        (("--fractions", "0.5,0.1,0.1"), "sum to 1"),
        (("--without", "msi"), "msi: no such field"),
        (("--unit", "counts"), "--unit 'counts'"),
        (("--constants", "none.json"), "none.json: no such file"),
        (("--gmt", "none.gmt"), "none.gmt: no such file"),
        (("--calls", "none.tsv"), "none.tsv: no such file"),
        (("--rna", "nowhere"), "no such file; name the folder of the expression files"),
    ],
)
def test_bad_options_are_input_errors(
    folder: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = build(folder, tmp_path / "x", *options)
    assert done.exit_code != 0
    assert message in str(done.exception)
    assert not (tmp_path / "x").exists()


def test_an_error_names_the_file_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("patient_id,expression\na,x.tsv\na,y.tsv\n")
    done = shell("build", tmp_path / "m.csv", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == (
        f"immunopath: {tmp_path}/m.csv: line 3: patient a stands on line 2 too\n"
    )
    assert not (tmp_path / "out").exists()


def test_agreement_prints_a_table_and_json(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    done = inside("agreement", TABLE, "--bootstraps", 100, "--json", out)
    assert done.exit_code == 0, done.output
    assert "immune axis, held out patients" in done.output
    assert "AUROC" in done.output
    assert "MANTIS > 0.4 in 3 of" in done.output
    content = json.loads(out.read_text())
    assert content["patients"] == 200
    silent = inside("agreement", TABLE, "--bootstraps", 100, "--json", "-")
    assert json.loads(silent.stdout) == content
