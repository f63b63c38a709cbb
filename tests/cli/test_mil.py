"""``immunopath train-mil``: a head out of a folder, and one line for what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from texture_cohort import make_cohort
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError, EngineSpecError
from immunopath.models.mil.record import read_record


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cohort(tmp_path_factory.mktemp("textures") / "cohort", patients=40, tiles=1)


def test_a_head_is_trained_and_the_fields_are_shown(cohort: Path, tmp_path: Path) -> None:
    words = ["train-mil", str(cohort), "-o", str(tmp_path / "head"), "--members", "1"]
    words += ["--epochs", "3", "--seed", "4", "--fields", "til_fraction, til_density"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    record = read_record(tmp_path / "head")
    assert record.trained == ("til_fraction", "til_density")
    assert record.seed == 4
    assert "left out on purpose" in done.stdout
    assert f"--predictor mil:{tmp_path / 'head'}" in done.stdout.replace("\n", "")
    assert "embedded 40 of 40 tiles" in done.stderr


@pytest.mark.parametrize(
    ("words", "kind", "fault"),
    [
        (["--embedder", "uni"], EngineSpecError, "embedder engine 'uni' does not exist"),
        (["--embedder", "embedded,px=3"], EngineSpecError, "unknown option 'px'"),
        (["--fields", "til"], CaseFileError, "'til' is not one of"),
        (["--fields", "msi_status"], CaseFileError, "all 20 training labels are MSS"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    cohort: Path, tmp_path: Path, words: list[str], kind: type[Exception], fault: str
) -> None:
    out = tmp_path / "head"
    done = CliRunner().invoke(app, ["train-mil", str(cohort), "-o", str(out), *words])
    assert isinstance(done.exception, kind)
    assert fault in str(done.exception)
    assert not out.exists()


def test_an_empty_folder_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "immunopath", "train-mil", str(tmp_path), "-o", str(tmp_path / "o")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "samples.jsonl: no such file" in done.stderr
