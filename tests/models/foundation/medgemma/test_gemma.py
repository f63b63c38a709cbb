"""A checkpoint that cannot be used is a named error with a remedy; one that can is checked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_medgemma import build_base, field, loaded

from immunopath.domain.errors import (
    CheckpointClassError,
    CheckpointError,
    ImageSizeError,
    LogitsNotFinite,
    ProcessorMissing,
    TokenizerMismatch,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.foundation.medgemma.gemma import encode

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(base_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base, to be spoiled."""
    return Path(shutil.copytree(base_folder, tmp_path / "copy"))


def edit_json(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def text_only(folder: Path) -> None:
    edit_json(folder / "config.json", lambda c: c.update(model_type="gemma3_text"))


def another_class(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "siglip"}))


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def own_code(folder: Path) -> None:
    edit_json(folder / "config.json", lambda c: c.update(auto_map={"AutoModel": "modeling.Model"}))


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def no_processor(folder: Path) -> None:
    (folder / "processor_config.json").unlink()


def truncated(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def not_safetensors(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\x80\x04 a pickle by another name")


def tensor_missing(folder: Path) -> None:
    edit_weights(
        folder, lambda t: t.pop(next(k for k in sorted(t) if k.endswith("mlp.up_proj.weight")))
    )


def other_shape(folder: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = next(k for k in sorted(tensors) if k.endswith("mlp.up_proj.weight"))
        tensors[name] = tensors[name][:, :32].contiguous()

    edit_weights(folder, change)


def not_a_number(folder: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = next(k for k in sorted(tensors) if k.endswith("layers.0.mlp.up_proj.weight"))
        tensors[name][0, 0] = float("nan")

    edit_weights(folder, change)


def smaller_head(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<one_more>"])
    tokenizer.save_pretrained(folder)


def other_image_token(folder: Path) -> None:
    edit_json(folder / "config.json", lambda c: c.update(image_token_index=11, image_token_id=11))


def other_image_size(folder: Path) -> None:
    def change(content: dict[str, object]) -> None:
        inner = content.get("image_processor", content)
        assert isinstance(inner, dict)
        inner["size"] = {"height": 56, "width": 56}

    edit_json(folder / "processor_config.json", change)


def other_token_count(folder: Path) -> None:
    edit_json(folder / "processor_config.json", lambda c: c.update(image_seq_length=9))


SPOILED: list[tuple[Callable[[Path], None], type[CheckpointError], str]] = [
    (text_only, CheckpointClassError, "image-text checkpoints such as google/medgemma"),
    (another_class, CheckpointClassError, "is a siglip checkpoint"),
    (no_config, CheckpointClassError, "config.json is missing"),
    (own_code, UnsafeWeights, "never run"),
    (pickled, UnsafeWeights, "never loaded"),
    (no_tokenizer, ProcessorMissing, "beside the weights"),
    (no_processor, ProcessorMissing, "beside the weights"),
    (truncated, WeightsCorrupted, "copy it again"),
    (not_safetensors, WeightsCorrupted, "copy it again"),
    (tensor_missing, WeightsCorrupted, "1 tensors of the model are missing"),
    (other_shape, WeightsCorrupted, "fetch"),
    (not_a_number, LogitsNotFinite, "models verify"),
    (smaller_head, TokenizerMismatch, r"has \d+ tokens, the output head only \d+ rows"),
    (other_image_token, TokenizerMismatch, "marks images with token"),
    (other_image_size, ImageSizeError, r"makes images of \[56\] px, the vision tower takes 28"),
    (other_token_count, ImageSizeError, "leaves 9 places per image"),
]


@pytest.mark.parametrize(
    ("spoil", "error", "match"), SPOILED, ids=[spoil.__name__ for spoil, *_ in SPOILED]
)
def test_a_spoiled_checkpoint_is_a_named_error_with_its_remedy(
    folder: Path, spoil: Callable[[Path], None], error: type[CheckpointError], match: str
) -> None:
    spoil(folder)
    with pytest.raises(error, match=match) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_head_with_more_rows_than_tokens_is_what_gemma_3_has(tmp_path: Path) -> None:
    gemma = loaded(build_base(tmp_path, vocab_size=512))
    assert gemma.model.get_output_embeddings().weight.shape[0] == 512
    assert len(gemma.tokenizer) < 512


def test_a_prompt_holds_its_images_and_marks_exactly_them(base_folder: Path) -> None:
    gemma = loaded(base_folder)
    prompt = encode(gemma, [field(60, 0, 100), field(200, 1, 48)], "Answer.")
    assert prompt.pixel_values is not None
    assert tuple(prompt.pixel_values.shape) == (2, 3, 28, 28)
    image = prompt.input_ids[0] == gemma.model.config.image_token_id
    assert int(image.sum()) == 2 * 4
    assert torch.equal(prompt.token_type_ids[0] != 0, image)
    end = gemma.tokenizer.decode(prompt.input_ids[0])
    assert end.endswith("<start_of_turn>model\n")


def test_pixels_of_another_size_never_reach_the_model(base_folder: Path) -> None:
    gemma = loaded(base_folder)
    gemma.processor.image_processor.size = {"height": 56, "width": 56}
    with pytest.raises(ImageSizeError, match=r"made pixels of shape \(1, 3, 56, 56\)"):
        encode(gemma, [field(90, 0)], "Answer.")


def test_the_model_asks_for_no_gradient_and_is_not_training(base_folder: Path) -> None:
    model = loaded(base_folder).model
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert model.config._attn_implementation == "sdpa"
