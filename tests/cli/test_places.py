"""What cannot be written or read is said before the first second of work."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from feature_files import trident
from texture_cohort import make_cohort
from typer.testing import CliRunner

from immunopath.cli import atlas_run, models
from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError, ImmunoPathError, OutputError
from immunopath.pipeline.run import ImmunoPath
from immunopath.training.cohort import gdc
from immunopath.training.evaluation import cohort_runs
from immunopath.training.imports import reading
from immunopath.training.labels import compare
from immunopath.training.mil import train as mil_train
from immunopath.training.synthetic import folder as synthetic_folder

DATA = Path(__file__).parents[1] / "data"
CORE = DATA / "images" / "lung_he_til" / "u24_cae100" / "image_99.png"
CMU = DATA / "slides" / "CMU-1-Small-Region.svs"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cohort(tmp_path_factory.mktemp("textures") / "cohort", patients=40, tiles=1)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A file that stands where a folder would have to be."""
    (tmp_path / "plain").write_text("x")
    return tmp_path / "plain"


def refused(*words: object) -> ImmunoPathError:
    """Return how a command ends that must end on purpose."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(done.exception, ImmunoPathError), done.output
    assert "embedded" not in done.stderr
    assert "\n" not in str(done.exception)
    return done.exception


def never(*_: object, **__: object) -> Any:
    pytest.fail("work began")


COMMANDS: dict[str, tuple[Callable[..., tuple[object, ...]], tuple[object, str] | None]] = {
    "analyze": (
        lambda out, _: ("analyze", CORE, "--mpp", "0.5", "--html", out / "a.html"),
        (ImmunoPath, "analyze"),
    ),
    "analyze --tiles": (
        lambda out, _: ("analyze", CORE, "--mpp", "0.5", "--tiles", out / "a.geojson"),
        (ImmunoPath, "analyze"),
    ),
    "cohort": (
        lambda out, _: ("cohort", out.with_name("cases.csv"), "-o", out / "run"),
        (ImmunoPath, "analyze"),
    ),
    "tiles": (lambda out, _: ("tiles", CMU, "-o", out / "tiles"), None),
    "synthetic": (lambda out, _: ("synthetic", out / "made"), (synthetic_folder, "make_cohort")),
    "train-mil": (
        lambda out, cohort: ("train-mil", cohort, "-o", out / "head"),
        (mil_train, "cohort_features"),
    ),
    "train-mil --features": (
        lambda out, cohort: (
            "train-mil", cohort, "-o", out.with_name("head"), "--features", out / "f.safetensors",
        ),
        (mil_train, "cohort_features"),
    ),
    "evaluate": (
        lambda out, cohort: ("evaluate", cohort, "-o", out / "e", "--predictor", "embedded"),
        None,
    ),
    "evaluate --checkpoint": (
        lambda out, cohort: (
            "evaluate", cohort, "-o", out.with_name("e"), "--predictor", "embedded",
            "--checkpoint", out / "c",
        ),
        None,
    ),
    "atlas build": (
        lambda out, _: ("atlas", "build", out.with_name("cases.csv"), "-o", out / "own.atlas"),
        (atlas_run, "build_engine"),
    ),
    "features import": (
        lambda out, cohort: (
            "features", "import", cohort, out.with_name("S1.h5"), "-o", out / "cohort",
        ),
        (reading, "read_hdf5"),
    ),
    "features predict": (
        lambda out, cohort: ("features", "predict", out, cohort, "-o", out / "answers.json"),
        None,
    ),
    "models probe": (
        lambda out, _: ("models", "probe", "embedded", CORE, "--mpp", "0.5", "-o", out / "p.json"),
        (models, "take_in"),
    ),
    "compare": (
        lambda out, _: ("compare", out.with_name("a"), out.with_name("b"), "-o", out / "c.json"),
        (cohort_runs, "read_run"),
    ),
    "cohort-data manifest": (
        lambda out, _: ("cohort-data", "manifest", out, "-o", out / "m.csv"),
        (gdc, "read_gdc"),
    ),
    "cohort-data build": (lambda out, _: ("cohort-data", "build", out, "-o", out / "c"), None),
    "cohort-data agreement": (
        lambda out, _: ("cohort-data", "agreement", out, "--json", out / "a.json"),
        (compare, "compare_table"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_that_cannot_be_written_is_said_before_the_work(
    name: str, cohort: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, work = COMMANDS[name]
    plain.with_name("cases.csv").write_text(f"case_id,images,mpp\nC1,{CORE},0.5\n")
    trident(plain.parent, "S1", 8)
    (plain.parent / "a" / "records").mkdir(parents=True)
    if work is not None:
        monkeypatch.setattr(*work, never)
    before = sorted(plain.parent.rglob("*"))
    fault = refused(*words(plain, cohort))
    assert isinstance(fault, OutputError)
    assert "Not a directory" in str(fault)
    assert sorted(plain.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "empty"])
def test_a_file_of_vectors_that_is_none_is_said_before_the_first_tile(
    cohort: Path, tmp_path: Path, kind: str
) -> None:
    given = tmp_path / "f.safetensors"
    if kind == "pipe":
        os.mkfifo(given)
    elif kind == "device":
        given.symlink_to("/dev/zero")
    elif kind == "folder":
        given.mkdir()
    else:
        given.touch()
    fault = refused("train-mil", cohort, "-o", tmp_path / "head", "--features", given)
    assert isinstance(fault, CaseFileError)
    assert not (tmp_path / "head").exists()


def test_a_run_folder_that_cannot_be_made_is_said_before_the_weights(plain: Path) -> None:
    from immunopath.training.lora.config import TrainConfig
    from immunopath.training.lora.run import train

    asked = TrainConfig(base="nobody/nothing", cohort=plain, out=plain / "run")
    with pytest.raises(OutputError, match="Not a directory"):
        train(asked)


def test_a_checkpoint_that_cannot_be_written_beside_is_not_calibrated(tmp_path: Path) -> None:
    from calibration_cases import write_checkpoint

    folder = write_checkpoint(tmp_path / "checkpoint")
    (folder / "calibration.json").mkdir()
    fault = refused("calibrate", tmp_path / "none.json", "--samples", tmp_path / "none.jsonl",
                    "--checkpoint", folder)  # fmt: skip
    assert "calibration.json: is not a regular file" in str(fault)


def test_a_list_of_files_is_not_written_over(tmp_path: Path) -> None:
    given = tmp_path / "sheet.tsv"
    given.write_text("id\tfilename\n1\ta.svs\n")
    (tmp_path / "link.csv").symlink_to(given)
    for out in (given, tmp_path / "link.csv", tmp_path / "x" / ".." / "sheet.tsv"):
        said = refused("cohort-data", "manifest", given, "-o", out)
        assert "is named twice" in str(said)
    assert given.read_text().startswith("id\t")


def test_a_comparison_is_not_written_over_what_it_compares(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "predictions").mkdir(parents=True)
        (tmp_path / name / "predictions" / "predictor.json").write_text("{}")
    for name in ("a", "b"):
        out = tmp_path / name / "predictions" / "predictor.json"
        assert "lies in the folder of a run" in str(
            refused("compare", tmp_path / "a", tmp_path / "b", "-o", out)
        )
        assert out.read_text() == "{}"
