"""The whole graph with the vision and drug engines from folders, on tiny checkpoints."""

import json
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from stores import CORE
from tiny_path_foundation import build_patch_onnx
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.case import Case
from immunopath.domain.errors import InputError
from immunopath.domain.outcome import Failed, Ok, Unavailable
from immunopath.domain.report import CaseStatus, EngineStatus
from immunopath.guidelines.casefile import load_clinical
from immunopath.models.atlas import load_atlas
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.reporting.rendered import RenderedReport

pytest.importorskip("transformers")
AS_OF = date(2026, 11, 24)
FACTS = Path(__file__).parents[3] / "examples" / "clinical_complete.yaml"
TASKS = "BBB_Martins+hERG+Caco2_Wang"


@pytest.fixture(scope="module")
def folders(
    siglip: Path, vit: Path, gemma2: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    root = tmp_path_factory.mktemp("engines")
    for name, built in (("siglip", siglip), ("vit", vit), ("gemma2", gemma2)):
        (root / name).symlink_to(built)
    return root


@pytest.fixture(scope="module")
def atlas(folders: Path) -> Path:
    """An atlas of four real images made by the command, with the tiny ViT."""
    images = Path(__file__).parents[2] / "data" / "images"
    manifest = folders / "m.csv"
    names = [CORE, *(f"nucls_til/images/train_{i}.png" for i in (2, 5, 9))]
    manifest.write_text("path,mpp\n" + "".join(f"{images / n},0.5\n" for n in names))
    out = folders / "own.atlas"
    command("atlas", "build", manifest, "-o", out, "--embedder", f"hf-vision:{folders / 'vit'}")
    return out


def command(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done.output


def engines(folders: Path, **changes: str) -> dict[str, str]:
    return {
        "phenotype": f"medsiglip:{folders / 'siglip'}",
        "embedder": f"hf-vision:{folders / 'vit'}",
        "drugs": f"txgemma:{folders / 'gemma2'},tasks={TASKS},cache={folders / 'cache'}",
        **changes,
    }


def analyse(images: Path, settings: dict[str, str]) -> RenderedReport:
    case = Case(case_id="a", images=(images / CORE,), mpp=0.5, clinical=load_clinical(FACTS))
    with ImmunoPath(settings=Settings.make(dict(settings))) as path:
        return path.analyze(case, as_of=AS_OF)


def row(report: RenderedReport, agent: str) -> EngineStatus:
    return next(r for r in report.engines if r.agent == agent)


def names(found: Sequence[EngineStatus]) -> dict[str, str | None]:
    return {r.agent: r.engine for r in found}


def test_every_engine_answers_in_one_report(
    folders: Path, atlas: Path, shared_images: Path
) -> None:
    report = analyse(shared_images, engines(folders) | {"atlas": str(atlas)})
    assert report.status is CaseStatus.ok, report.status_reason
    used = names(report.engines)
    assert used["phenotype"] == "medsiglip"
    assert used["retrieval"] == "hf-vision"
    assert used["drugs"] == used["drugs in silico"] == "txgemma"
    assert all(r.weights_digest for r in report.engines if r.engine in used.values() and r.engine)
    assert isinstance(report.phenotype, Ok)
    assert sum(report.phenotype.value.scores.values()) == pytest.approx(1)
    assert isinstance(report.retrieval, Ok)
    found = report.retrieval.value
    assert found.atlas_id == load_atlas(atlas).atlas_id
    assert found.excluded["identical_pixels"] == 9  # the core's own tiles
    assert found.neighbours
    assert isinstance(report.drugs, Ok)
    states = {d.name: d.in_silico.status for d in report.drugs.value if d.in_silico}
    assert states["pembrolizumab"] == "not_applicable"
    assert states["pemetrexed"] == "ok"
    page = report.to_html()
    assert page.index("Curated by") < page.index("In silico: ")
    assert json.loads(report.to_json())["drugs"]["value"][0]["facts"]


def test_the_report_is_the_same_from_the_cache_alone(
    folders: Path, atlas: Path, shared_images: Path
) -> None:
    settings = engines(folders) | {"atlas": str(atlas)}
    first = analyse(shared_images, settings)
    cached = analyse(shared_images, settings | {"drugs": settings["drugs"] + ",compute=no"})
    assert isinstance(first.drugs, Ok)
    assert cached.drugs == first.drugs


def test_one_engine_without_weights_leaves_the_others(folders: Path, shared_images: Path) -> None:
    report = analyse(
        shared_images,
        engines(folders, phenotype="medsiglip", drugs="txgemma,compute=no,cache=none"),
    )
    assert report.status is CaseStatus.partial
    assert isinstance(report.phenotype, Unavailable)
    assert "google/medsiglip-448" in report.phenotype.reason
    assert isinstance(report.drugs, Ok)
    assert all(drug.facts for drug in report.drugs.value)
    silent = row(report, "drugs in silico")
    assert (silent.status, "not computed" in silent.reason) == ("unavailable", True)
    assert "drugs in silico" in report.status_reason
    # the shipped atlas was made by another encoder
    assert isinstance(report.retrieval, Failed)
    assert report.retrieval.error_id == "EngineMismatch"
    assert report.profile.til_density.value is not None


def test_an_engine_that_breaks_is_unavailable_with_its_reason(
    folders: Path, tmp_path: Path, shared_images: Path
) -> None:
    broken = Path(shutil.copytree(folders / "siglip", tmp_path / "broken"))
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-400])
    report = analyse(shared_images, {"phenotype": f"medsiglip:{broken}"})
    assert isinstance(report.phenotype, Unavailable)
    assert "cannot be read" in report.phenotype.reason
    assert isinstance(report.retrieval, Ok)


def test_the_command_line_takes_the_same_strings(
    folders: Path, atlas: Path, tmp_path: Path, shared_images: Path
) -> None:
    options = [part for key, text in engines(folders).items() for part in (f"--{key}", text)]
    command("analyze", shared_images / CORE, "--mpp", 0.5, "--clinical", FACTS, *options,
            "--atlas", atlas, "--json", tmp_path / "r.json", "--quiet")  # fmt: skip
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["phenotype"]["value"]["source"]["engine"] == "medsiglip-phenotype"
    assert report["retrieval"]["value"]["source"]["engine"] == "hf-vision-embedder"


def test_answers_can_be_computed_in_advance(folders: Path, tmp_path: Path) -> None:
    text = f"txgemma:{folders / 'gemma2'},tasks=BBB_Martins,cache={tmp_path}"
    done = command("models", "panel", text, "erlotinib", "gefitinib", "pembrolizumab")
    assert done.count("1 answered") == 2
    assert "not applicable" in done
    assert len(list(tmp_path.iterdir())) == 1
    absent = f"txgemma:{tmp_path / 'absent'},cache={tmp_path}"
    assert "not computed" in command("models", "panel", absent, "erlotinib", code=1)


def test_a_panel_needs_a_model_and_curated_names(tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["models", "panel", *arguments])
        assert isinstance(done.exception, InputError)
        assert not done.output
        return str(done.exception)

    assert "has no model to ask" in refused("embedded")
    assert "txgemma" in refused("embedded")
    absent = f"txgemma:{tmp_path / 'absent'},cache={tmp_path}"
    assert "nearest: erlotinib" in refused(absent, "erlotinip")


def test_path_foundation_in_the_graph(folders: Path, tmp_path: Path, shared_images: Path) -> None:
    pytest.importorskip("onnxruntime")
    engine = f"path-foundation:{build_patch_onnx(tmp_path / 'm.onnx')}"
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"path,mpp\n{shared_images / 'nucls_til/images/train_2.png'},0.5\n"
                        f"{shared_images / CORE},0.5\n")  # fmt: skip
    command("atlas", "build", manifest, "-o", tmp_path / "a.atlas", "--embedder", engine)
    report = analyse(shared_images, {"embedder": engine, "atlas": str(tmp_path / "a.atlas")})
    assert isinstance(report.retrieval, Ok)
    assert report.retrieval.value.source.mpp == 0.5
    assert report.retrieval.value.source.preprocess == "view=tile"


def test_the_comparison_command_needs_tissue(tmp_path: Path, shared_images: Path) -> None:
    glass = shared_images / "negatives/histolab_no-tissue.png"
    done = CliRunner().invoke(
        app, ["models", "compare", str(tmp_path), "m.onnx", str(glass), "--mpp", "0.5"]
    )
    assert "no patch of 112 µm" in str(done.exception)
