"""``immunopath features``: vectors of others in, a head trained, asked, and refused without one."""

import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from feature_files import trident, vectors
from texture_cohort import labels_of
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.case import Case
from immunopath.domain.errors import EngineMismatch, EngineSpecError, InputError
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.mil.build import build
from immunopath.models.mil.record import read_record
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.side_files import SideFiles
from immunopath.training.predictions import read_predictions
from immunopath.training.samples import SAMPLES, Sample, write_samples

pytest.importorskip("h5py")
pytest.importorskip("anndata")
WIDE = 128
"""As many numbers as the embedded embedder makes."""
SETTINGS = ["--members", "1", "--epochs", "30", "--fields", "til_fraction,til_density"]


def said(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.output.replace("\n", " ")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 40 patients with one slide each whose vectors point where the label says."""
    folder = tmp_path_factory.mktemp("imported")
    rng, samples = np.random.default_rng(0), []
    for n in range(40):
        share = float(rng.uniform(0.02, 0.98))
        split = ("train", "val", "train", "test")[n % 4]
        samples.append(
            Sample(patient_id=f"P{n}", split=split, labels=labels_of(share), origin="synthetic")  # type: ignore[arg-type]
        )
        rows = vectors(3, n, 30 * (share - 0.5), WIDE)
        trident(folder / "h5", f"P{n}", rows=rows, patch_size=96, patch_size_level0=192)
    write_samples(folder / "c" / SAMPLES, samples)
    told = ("--mpp", 0.5, "--engine", "embedded")
    text = said("features", "import", folder / "c", folder / "h5", *told)
    assert "40 slides, 120 vectors of 40 patients, patches of 96 px at 0.5 µm/px" in text
    return folder / "c"


@pytest.fixture(scope="module")
def head(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads") / "head"
    said("train-mil", cohort, "-o", out, "--features", cohort / "features.safetensors", *SETTINGS)
    return out


def test_a_head_learns_from_imported_vectors_and_answers_on_them(
    cohort: Path, head: Path, tmp_path: Path
) -> None:
    record = read_record(head)
    assert (record.embedder, record.px, record.mpp) == ("external", 96, 0.5)
    said("features", "predict", head, cohort, "-o", tmp_path / "p.json")
    answers = read_predictions(tmp_path / "p.json").answers
    truth = {f"P{n}": n for n in range(3, 40, 4)}
    assert {answer.patient_id for answer in answers} == set(truth)
    words = ("--predictions", tmp_path / "p.json", "--draws", 100)
    text = said("evaluate", cohort, "-o", tmp_path / "e", *words)
    assert "til_fraction" in text


def test_a_head_of_imported_vectors_serves_only_with_its_encoder(head: Path) -> None:
    with pytest.raises(EngineMismatch, match=r"imported vectors of embedded .*,embedder"):
        build(EngineSpec(name="mil", source=str(head)))
    engine = build(EngineSpec.parse(f"mil:{head},embedder=embedded"))
    cautions = [caution.code for caution in engine.answer(*_nothing()).cautions]
    assert "ENCODER_AS_DECLARED" in cautions


def test_analyze_with_such_a_head_is_one_line_and_exit_code_2(
    head: Path, shared_images: Path
) -> None:
    image = shared_images / "lung_he_til/u24_cae100/image_99.png"
    words = ["analyze", image, "--mpp", "0.5", "--predictor", f"mil:{head}"]
    done = subprocess.run(
        [sys.executable, "-m", "immunopath", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "embedder=ENGINE" in done.stderr


def _nothing() -> tuple[object, ...]:
    from immunopath.models.mil.pixels import SquareTiles

    return np.zeros((0, WIDE), np.float32), (), SquareTiles((), 0.5)


def test_another_encoder_than_the_declared_one_is_refused(cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "c", ignore=shutil.ignore_patterns("tiles*", "features*"))
    told = ("--mpp", 0.5, "--encoder", "uni", "--revision", "v1")
    said("features", "import", tmp_path / "c", cohort.parent / "h5", *told)
    vectors_of = ("--features", tmp_path / "c/features.safetensors")
    said("train-mil", tmp_path / "c", "-o", tmp_path / "h", *vectors_of, *SETTINGS)
    with pytest.raises(EngineMismatch, match=r"declared as of uni v1 .* the embedder named is"):
        build(EngineSpec.parse(f"mil:{tmp_path / 'h'},embedder=embedded"))


def test_imported_vectors_are_not_mixed_up_with_an_embedder(cohort: Path, tmp_path: Path) -> None:
    features = ("--features", cohort / "features.safetensors")
    with pytest.raises(EngineSpecError, match="were imported and are of their own encoder"):
        said("train-mil", cohort, "-o", tmp_path / "h", *features, "--embedder", "embedded")
    with pytest.raises(InputError, match="or name imported vectors"):
        said("train-mil", cohort, "-o", tmp_path / "h")


def test_half_an_encoder_is_refused(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineSpecError, match="name --encoder and --revision together"):
        said("features", "import", cohort, tmp_path, "--encoder", "uni")
    with pytest.raises(EngineSpecError, match="--engine names encoder and revision"):
        said("features", "import", cohort, tmp_path, "--encoder", "uni", "--engine", "embedded")
    with pytest.raises(InputError, match="choose centre or corner"):
        said("features", "import", cohort, tmp_path, "--spatial", "left")


def test_our_own_anndata_names_its_encoder_places_and_resolution(
    tmp_path: Path, shared_images: Path
) -> None:
    names = ("image_99.png", "image_199.png")
    images = tuple(shared_images / "lung_he_til/u24_cae100" / name for name in names)
    files = SideFiles(anndata=tmp_path / "case.h5ad")
    with ImmunoPath() as engines:
        engines.analyze(
            Case(case_id="c", images=images, mpp=0.5),
            as_of=date(2026, 11, 28),
            files=files,
            figures=False,
        )
    samples = [
        Sample(patient_id=f"P{i}", labels={}, slides=(name,)) for i, name in enumerate(names)
    ]
    write_samples(tmp_path / "c" / SAMPLES, samples)
    text = said("features", "import", tmp_path / "c", tmp_path / "case.h5ad")
    info = EmbeddedEmbedder(shipped()).info
    assert f"encoder as declared: embedded {info.revision}" in text
    assert "2 slides, 2 vectors of 2 patients" in text
    told = ("-o", tmp_path / "d", "--encoder", "uni", "--revision", "v1")
    with pytest.raises(EngineMismatch, match="asked for is uni v1"):
        said("features", "import", tmp_path / "c", tmp_path / "case.h5ad", *told)
