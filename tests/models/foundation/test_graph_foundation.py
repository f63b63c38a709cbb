"""The foundation profile with all four engines from folders: one graph, one report, on a CPU."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from stores import CORE
from tiny_medgemma import Folders
from tiny_open_clip import build_open_clip
from tiny_path_foundation import build_patch_onnx, build_vit_saved_model
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.case import Case
from immunopath.domain.outcome import Ok
from immunopath.domain.report import CaseStatus
from immunopath.guidelines.casefile import load_clinical
from immunopath.models.registry import Role, build_engine, close_engine
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings

pytest.importorskip("onnxruntime")
FACTS = Path(__file__).parents[3] / "examples" / "clinical_complete.yaml"


def build_atlas_with(embedder: str, root: Path) -> Path:
    """Build an atlas of three real images by the command."""
    images = Path(__file__).parents[2] / "data" / "images"
    manifest, out = root / "m.csv", root / "own.atlas"
    names = [f"nucls_til/images/train_{i}.png" for i in (2, 5, 9)]
    manifest.write_text("path,mpp\n" + "".join(f"{images / n},0.5\n" for n in names))
    built = CliRunner().invoke(
        app, ["atlas", "build", str(manifest), "-o", str(out), "--embedder", embedder]
    )
    assert built.exit_code == 0, built.output
    return out


@pytest.fixture(scope="module")
def settings(
    medgemma: Folders, siglip: Path, gemma2: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    root = tmp_path_factory.mktemp("foundation")
    build_patch_onnx(root / "model.onnx")
    embedder = f"path-foundation:{root / 'model.onnx'}"
    return {
        "profile": "foundation",
        "predictor": medgemma.engine(patches=6, quant="nf4"),
        "phenotype": f"medsiglip:{siglip}",
        "embedder": embedder,
        "drugs": f"txgemma:{gemma2},tasks=hERG,cache={root / 'cache'}",
        "atlas": str(build_atlas_with(embedder, root)),
    }


def test_four_foundation_engines_in_one_graph(
    settings: dict[str, object], shared_images: Path
) -> None:
    case = Case(case_id="a", images=(shared_images / CORE,), mpp=0.5, clinical=load_clinical(FACTS))
    with ImmunoPath(settings=Settings.make(dict(settings))) as path:
        report = path.analyze(case, as_of=date(2026, 11, 24))
    assert report.status is CaseStatus.ok, [row.reason for row in report.engines]
    used = {row.agent: row.engine for row in report.engines}
    assert used["predictor"] == "medgemma"
    assert used["phenotype"] == "medsiglip"
    assert used["retrieval"] == "path-foundation"
    assert used["drugs"] == "txgemma"
    assert not report.profile.til_fraction.abstained
    assert isinstance(report.phenotype, Ok)
    assert isinstance(report.retrieval, Ok)
    assert isinstance(report.guidance, Ok)
    assert len(report.answers) == 6
    assert report.to_html().count("NOT_PROBED") == 1


@pytest.fixture(scope="module")
def other_routes(
    settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """The same profile with a ViT as SavedModel and open_clip for the phenotype."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("open_clip")
    root = tmp_path_factory.mktemp("routes")
    embedder = f"path-foundation:{build_vit_saved_model(root / 'vit')}"
    return settings | {
        "phenotype": f"open_clip:{build_open_clip(root / 'clip')}",
        "embedder": embedder,
        "atlas": str(build_atlas_with(embedder, root)),
    }


def test_the_saved_model_and_open_clip_in_the_same_profile(
    other_routes: dict[str, object], shared_images: Path
) -> None:
    case = Case(case_id="a", images=(shared_images / CORE,), mpp=0.5, clinical=load_clinical(FACTS))
    with ImmunoPath(settings=Settings.make(dict(other_routes))) as path:
        report = path.analyze(case, as_of=date(2026, 11, 24))
    assert report.status is CaseStatus.ok, [row.reason for row in report.engines]
    used = {row.agent: row.engine for row in report.engines}
    assert (used["predictor"], used["phenotype"]) == ("medgemma", "open_clip")
    assert (used["retrieval"], used["drugs"]) == ("path-foundation", "txgemma")
    assert isinstance(report.phenotype, Ok)
    assert sum(report.phenotype.value.scores.values()) == pytest.approx(1)
    assert isinstance(report.retrieval, Ok)
    assert report.retrieval.value.neighbours
    made = [row for row in report.engines if row.engine in {"open_clip", "path-foundation"}]
    assert all(row.weights_digest for row in made)


def test_engines_that_are_first_needed_at_once_are_all_loaded_right(
    settings: dict[str, object],
) -> None:
    """transformers is not made for loading in two threads: tensors went missing without a lock."""
    roles: tuple[Role, ...] = ("predictor", "phenotype", "drugs")
    specs = {role: Settings.make(dict(settings)).spec(role) for role in roles}
    plain = specs["predictor"].model_copy(update={"options": {"px": "64"}})
    for _ in range(6):
        start = threading.Barrier(len(roles))

        def load(role: Role, start: threading.Barrier = start) -> object:
            start.wait(60)
            return build_engine(role, plain if role == "predictor" else specs[role], "cpu")

        with ThreadPoolExecutor(len(roles)) as pool:
            for engine in pool.map(load, roles):
                close_engine(engine)
