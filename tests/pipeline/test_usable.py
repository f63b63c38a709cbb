"""What is named and is not there is said before the first case, what fails within one is told."""

import json
import os
import shutil
from pathlib import Path

import pytest
from texture_cohort import make_cohort
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.case import Case
from immunopath.domain.errors import ImmunoPathError
from immunopath.models.atlas import load_atlas
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.pipeline.usable import files_digest, require_usable
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import make_plan, train_mil

LUNG = "lung_he_til/u24_cae100/image_99.png"


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    cohort = make_cohort(folder / "cohort", patients=40, tiles=1)
    settings = MilSettings.make({"members": 1, "epochs": 2, "fields": ("til_fraction",)})
    train_mil(make_plan(cohort, "embedded", settings), folder / "head")
    return folder / "head"


def fault_of(**values: object) -> str:
    with pytest.raises(ImmunoPathError) as caught:
        require_usable(Settings.make(values))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("role", "engine", "said"),
    [
        ("predictor", "mil:{0}/none", "none: no such folder"),
        ("predictor", "mil:{0}", "mil.json"),
        ("predictor", "mil:{0}/file", "no such folder"),
        ("predictor", "medgemma:{0}/none", "none: no such folder"),
        ("predictor", "medgemma:{0}", "holds no file of a checkpoint"),
        ("predictor", "medgemma,adapter={0}/none", "none: no such folder"),
        ("predictor", "medgemma,record={0}/none.json", "none.json: no such file"),
        ("predictor", "medgemma,calibration={0}/pipe", "pipe: is no regular file"),
        ("phenotype", "medsiglip:{0}/none", "none: no such folder"),
        ("phenotype", "medsiglip,prompts={0}/none.yaml", "none.yaml: no such file"),
        ("phenotype", "medsiglip,calibration=/dev/zero", "/dev/zero: is no regular file"),
        ("phenotype", "open_clip:ViT-B-32,pretrained={0}/w.safetensors", "w.safetensors: no such"),
        ("embedder", "hf-vision:{0}/none", "none: no such folder"),
        ("embedder", "path-foundation:{0}/none.onnx", "none.onnx: no such file"),
        ("embedder", "timm:vit_tiny_patch16_224,pretrained={0}/w.safetensors", "no such file"),
        ("drugs", "txgemma:{0}/none", "none: no such folder"),
    ],
)
def test_a_named_engine_that_is_not_there_is_an_error(
    tmp_path: Path, role: str, engine: str, said: str
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert said in fault_of(**{role: engine.format(tmp_path)})


@pytest.mark.parametrize("engine", ["medgemma", "medgemma:lab/none", "mil:{0}", "none"])
def test_what_may_be_missing_on_this_machine_is_left_to_the_case(head: Path, engine: str) -> None:
    require_usable(Settings.make({"predictor": engine.format(head)}))


def test_a_damaged_head_is_an_error(head: Path, tmp_path: Path) -> None:
    for name, said in (
        ("mil.json", "mil.json: embedder: Field required"),
        ("mil.safetensors", "no such file"),
    ):
        copy = tmp_path / name
        copy.mkdir()
        for file in head.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        if name == "mil.json":
            (copy / name).write_text("{}")
        else:
            (copy / name).unlink()
        assert said in fault_of(predictor=f"mil:{copy}")


@pytest.mark.parametrize("kind", ["/dev/zero", "missing", "file", "pipe", "text"])
def test_an_atlas_that_is_none_is_an_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "own.atlas"
    if kind == "/dev/zero":
        path = Path(kind)
    elif kind == "file":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "text":
        path.write_text("no atlas")
    assert "atlas" in fault_of(atlas=path)


def test_the_shipped_atlas_named_by_its_path_is_one(tmp_path: Path) -> None:
    require_usable(Settings.make({"atlas": load_atlas(None).save(tmp_path / "own.atlas")}))


@pytest.mark.parametrize(
    "words",
    [("--atlas", "/dev/zero"), ("--predictor", "mil:/nowhere"), ("--drugs", "txgemma:/nowhere")],
)
@pytest.mark.parametrize("command", ["analyze", "cohort", "app"])
def test_every_command_ends_before_its_first_case(
    shared_images: Path, tmp_path: Path, command: str, words: tuple[str, str]
) -> None:
    core, out = shared_images / LUNG, tmp_path / "out"
    (tmp_path / "m.csv").write_text(f"case_id,images,mpp\na,{core},0.5\n")
    given = {
        "analyze": ["analyze", str(core), "--mpp", "0.5", "--json", str(out)],
        "cohort": ["cohort", str(tmp_path / "m.csv"), "-o", str(out)],
        "app": ["app", "--port", "0"],
    }[command]
    done = CliRunner().invoke(app, [*given, *words])
    assert isinstance(done.exception, ImmunoPathError), done.output
    assert "nowhere" in str(done.exception) or "/dev/zero" in str(done.exception)
    assert not out.exists()


def test_an_engine_that_fails_in_a_case_is_still_an_outcome(
    head: Path, tmp_path: Path, shared_images: Path
) -> None:
    for file in head.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "mil.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    case = Case(case_id="a", images=(shared_images / LUNG,), mpp=0.5)
    with ImmunoPath(predictor=f"mil:{tmp_path}", embedder="none") as engines:
        report = engines.analyze(case)
    assert report.status.value == "partial"
    assert "mil.safetensors" in report.to_json()


def test_another_head_at_the_same_path_is_another_run(
    head: Path, tmp_path: Path, shared_images: Path
) -> None:
    """Kept results of the head that lay there before would pass for the new one's."""
    copy, core = tmp_path / "head", shared_images / LUNG
    shutil.copytree(head, copy)
    (tmp_path / "m.csv").write_text(f"case_id,images,mpp\na,{core},0.5\n")
    words = ["cohort", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "--no-html"]

    def made() -> str:
        done = CliRunner().invoke(app, [*words, "--predictor", f"mil:{copy}"])
        assert done.exit_code == 0, done.output
        return done.output

    assert "1 analysed now" in made()
    assert "0 analysed now" in made()
    (copy / "history.csv").unlink()
    assert "0 analysed now" in made()
    record = json.loads((copy / "mil.json").read_text())
    (copy / "mil.json").write_text(json.dumps(record, indent=3))
    assert "1 analysed now" in made()
    (copy / "immunopath-probe.json").write_text("{}")
    assert "1 analysed now" in made()


def test_the_digest_is_of_every_local_file_that_is_named(tmp_path: Path) -> None:
    assert files_digest(Settings.make({})) == ""
    assert files_digest(Settings.make({"predictor": "medgemma:lab/none"})) == ""
    atlas = load_atlas(None).save(tmp_path / "own.atlas")
    settings = Settings.make({"atlas": atlas, "predictor": f"medgemma,record={tmp_path}/r.json"})
    (tmp_path / "r.json").write_text("{}")
    seen = {files_digest(settings)}
    (tmp_path / "r.json").write_text("{ }")
    seen.add(files_digest(settings))
    atlas.write_bytes(atlas.read_bytes() + b" ")
    seen.add(files_digest(settings))
    with (tmp_path / "r.json").open("wb") as stream:
        stream.truncate(65 << 20)
    seen.add(files_digest(settings))
    os.utime(tmp_path / "r.json", ns=(1, 1))
    assert len(seen | {files_digest(settings)}) == 5
