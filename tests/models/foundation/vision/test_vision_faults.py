"""Vision checkpoints and options that cannot be used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import core
from vision_cases import embedder

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    LogitsNotFinite,
    ProcessorMissing,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec


@pytest.fixture
def copied(vit: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(vit, tmp_path / "copy"))


def lose(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-500])


def text_model(folder: Path) -> None:
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                          num_attention_heads=2, num_key_value_heads=1, head_dim=16)  # fmt: skip
    Gemma2Model(config).save_pretrained(folder)


def other_size(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"size": {"height": 140, "width": 140}}))


@pytest.mark.parametrize(
    ("harm", "error", "what"),
    [
        (lose("preprocessor_config.json"), ProcessorMissing, "image processor"),
        (lose("config.json"), CheckpointClassError, "config.json"),
        (lose("model.safetensors"), UnsafeWeights, "no .safetensors"),
        (truncate, WeightsCorrupted, "fetch"),
        (text_model, CheckpointClassError, "give a vision encoder"),
        (other_size, CheckpointClassError, "140 px"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_says_why(
    copied: Path, harm: Callable[[Path], object], error: type[EngineUnavailable], what: str
) -> None:
    harm(copied)
    with pytest.raises(error, match=what):
        embedder("hf-vision", copied)


def test_nan_is_named(copied: Path, shared_images: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    tensors["layernorm.weight"].fill_(float("nan"))
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LogitsNotFinite, match="dtype=float32"):
        embedder("hf-vision", copied).embed(core(shared_images, 512))


def test_wrong_options_are_named(vit: Path) -> None:
    for options in ({"pool": "best"}, {"dtype": "float16"}, {"resize": "x"}, {"mpp": "-1"}):
        with pytest.raises(EngineSpecError, match=next(iter(options))):
            embedder("hf-vision", vit, **options)
    with pytest.raises(EngineSpecError, match="say which model"):
        build_engine("embedder", EngineSpec(name="hf-vision"), "cpu")
