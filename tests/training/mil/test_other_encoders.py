"""A head over the vectors of a neural encoder, here a tiny ViT of transformers."""

from pathlib import Path

import pytest
from texture_cohort import make_cohort, texture
from tiny_vit import PX, build_vit

from immunopath.domain.errors import EngineMismatch, ImageSizeError
from immunopath.models.mil.build import build
from immunopath.models.mil.pixels import Square, SquareTiles
from immunopath.models.mil.predictor import MilPredictor
from immunopath.models.mil.record import read_record
from immunopath.models.spec import EngineSpec
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import make_plan, train_mil

QUICK = MilSettings(members=1, epochs=2, hidden=8, fields=("til_fraction",))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ViT, a cohort and a head."""
    folder = tmp_path_factory.mktemp("vit")
    build_vit(folder / "vit")
    make_cohort(folder / "cohort", patients=40, tiles=1, px=PX)
    plan = make_plan(folder / "cohort", f"hf-vision:{folder / 'vit'}", QUICK)
    train_mil(plan, folder / "head")
    return folder


def engine(trained: Path, *words: str) -> MilPredictor:
    return build(EngineSpec.parse(",".join([f"mil:{trained / 'head'}", *words])))


def test_the_record_and_the_engine_carry_the_encoder(trained: Path) -> None:
    record = read_record(trained / "head")
    assert (record.encoder.name, record.encoder.size) == ("hf-vision", 32)
    assert record.encoder.weights_digest
    found = engine(trained)
    result = found.predict(SquareTiles([Square("a", texture(0.8, 1, PX))], 0.5)).result
    found.close()
    assert not result.profile.til_fraction.abstained
    assert "encoder=hf-vision" in (result.profile.til_fraction.source.preprocess or "")


def test_the_same_encoder_elsewhere_serves_and_another_does_not(
    trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "copy").symlink_to(trained / "vit")
    engine(trained, f"embedder=hf-vision:{tmp_path / 'copy'}").close()
    build_vit(tmp_path / "other", seed=1)
    for other in (f"hf-vision:{tmp_path / 'other'}", "embedded"):
        with pytest.raises(EngineMismatch, match="trained on vectors of hf-vision"):
            engine(trained, f"embedder={other}")


def test_tiles_smaller_than_the_encoder_wants_stop_training(trained: Path, tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", patients=40, tiles=1, px=96)
    plan = make_plan(cohort, f"hf-vision:{trained / 'vit'}", QUICK)
    with pytest.raises(ImageSizeError, match="no field is 56 µm across"):
        train_mil(plan, tmp_path / "head")
    assert not (tmp_path / "head").exists()
