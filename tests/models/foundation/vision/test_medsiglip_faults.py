"""SigLIP checkpoints and options that cannot be used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from medsiglip_cases import encoder, scorer
from stores import core
from tiny_siglip import PX

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineError,
    EngineSpecError,
    EngineUnavailable,
    ImageSizeError,
    LogitsNotFinite,
    ProcessorMissing,
    UnsafeWeights,
    WeightsCorrupted,
)


@pytest.fixture
def copied(siglip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(siglip, tmp_path / "copy"))


def lose_tokenizer(folder: Path) -> None:
    for name in ("spiece.model", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)


def lose_processor(folder: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)


def edit_processor(folder: Path, **changes: object) -> None:
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"].update(changes)
    path.write_text(json.dumps(config))


def other_class(folder: Path) -> None:
    from transformers import ViTConfig

    ViTConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=2).save_pretrained(folder)


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def drop_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["logit_bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def own_code(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling.Evil"}}))


@pytest.mark.parametrize(
    ("harm", "error", "what"),
    [
        (lose_tokenizer, ProcessorMissing, "beside the weights"),
        (lose_processor, ProcessorMissing, "beside the weights"),
        (lambda f: edit_processor(f, size={"height": 28, "width": 28}), ImageSizeError, "56 x 56"),
        (lambda f: edit_processor(f, image_mean=[0.48, 0.46, 0.41]), ProcessorMissing, "another"),
        (other_class, CheckpointClassError, "vit checkpoint, this engine runs siglip"),
        (lambda f: (f / "config.json").unlink(), CheckpointClassError, "config.json is missing"),
        (truncate, WeightsCorrupted, "fetch"),
        (drop_tensor, WeightsCorrupted, "logit_bias"),
        (pickled, UnsafeWeights, "never loaded"),
        (own_code, UnsafeWeights, "never run"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_says_why(
    copied: Path, harm: Callable[[Path], object], error: type[EngineUnavailable], what: str
) -> None:
    harm(copied)
    with pytest.raises(error, match=what):
        scorer(copied)


def test_weights_of_nan_are_named_not_scored(copied: Path, shared_images: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    tensors["vision_model.post_layernorm.weight"].fill_(float("nan"))
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LogitsNotFinite, match="not finite"):
        scorer(copied).score(core(shared_images, 512))


def test_the_model_refuses_pixels_of_another_size(siglip: Path) -> None:
    with pytest.raises(EngineError, match="56 x 56"):
        encoder(siglip).embed_pixels(torch.zeros(1, 3, 2 * PX, 2 * PX))


def test_a_prompt_longer_than_the_model_reads_is_refused(siglip: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="shorten it"):
        encoder(siglip).texts(["lymphocyte " * 80])


@pytest.mark.parametrize(
    "options",
    [{"mpp": "x"}, {"mpp": "0"}, {"view": "warp"}, {"resize": "best"}, {"batch": "0"},
     {"dtype": "float16"}, {"size": "3"}, {"margin": "2"}],
)  # fmt: skip
def test_wrong_options_are_named(siglip: Path, options: dict[str, str]) -> None:
    with pytest.raises(EngineSpecError, match=next(iter(options))):
        scorer(siglip, **options)
