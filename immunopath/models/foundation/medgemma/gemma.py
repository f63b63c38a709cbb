"""Gemma 3 image-text checkpoints (MedGemma among them): loaded by the Auto classes, and checked.

What is checked is what otherwise goes wrong without a word: a text-only or foreign checkpoint,
weights that the file lacks and transformers would draw at random, a tokenizer of another model, an
image processor of another size, numbers that are not finite.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import (
    CheckpointClassError,
    ImageSizeError,
    LogitsNotFinite,
    TokenizerMismatch,
    WeightsCorrupted,
    first_line,
)
from immunopath.models.foundation.decoding.decoder import EncodedPrompt
from immunopath.models.foundation.hf_loading import (
    load_processor,
    read_config,
    refuse_without_memory,
    require_safetensors,
    transformers,
)
from immunopath.models.foundation.precision import Precision, keep_plain_cpu_path, loading_options
from immunopath.models.foundation.weights import Weights, stored_numbers
from immunopath.models.protocols import RGB

MODEL_TYPE: Final = "gemma3"
ATTENTION: Final = "sdpa"
"""Not flash attention 2: it ignores the mask function, so image blocks would become causal."""

MAX_NEW_TOKENS: Final = 300
"""Of a free answer; the contract's longest is about a hundred tokens."""


@dataclass(frozen=True)
class Gemma:
    """A loaded checkpoint. `model` is in evaluation mode and asks for no gradient."""

    model: Any
    processor: Any
    weights: Weights
    precision: Precision
    device: str

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - of transformers
        """The tokenizer of the processor."""
        return self.processor.tokenizer

    @property
    def image_px(self) -> int:
        """Side of the square that the vision tower sees, in pixels."""
        return int(self.model.config.vision_config.image_size)


def load_gemma(weights: Weights, precision: Precision, device: str) -> Gemma:
    """Load a Gemma 3 image-text checkpoint from a folder and check it.

    Raises `CheckpointClassError`, `UnsafeWeights`, `ProcessorMissing`, `WeightsCorrupted`,
    `TokenizerMismatch`, `ImageSizeError`, `LogitsNotFinite`, or `EngineUnavailable` when memory
    does not suffice, each with its remedy.
    """
    check_config(weights)
    require_safetensors(weights)
    stored_numbers(weights)
    processor = load_processor("AutoProcessor", weights, backend="pil")
    model = _load(weights, precision, device)
    gemma = Gemma(model, processor, weights, precision, device)
    check_tokenizer(gemma)
    check_image_size(gemma)
    check_finite(gemma)
    return gemma


def check_config(weights: Weights) -> Any:  # noqa: ANN401 - Gemma3Config
    """Return the configuration; raises `CheckpointClassError` unless it is Gemma 3 with vision."""
    config = read_config(weights)
    if config.model_type != MODEL_TYPE or not hasattr(config, "vision_config"):
        raise CheckpointClassError(
            f"{weights.source}: is a {config.model_type} checkpoint; this engine runs Gemma 3 "
            "image-text checkpoints such as google/medgemma-1.5-4b-it"
        )
    return config


def _load(weights: Weights, precision: Precision, device: str) -> Any:  # noqa: ANN401
    try:
        model, report = transformers().AutoModelForImageTextToText.from_pretrained(
            weights.folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation=ATTENTION,
            output_loading_info=True,
            **loading_options(precision, device),
        )
        if precision.quant == "none":
            model = model.to(device)
    except (OSError, RuntimeError, ValueError, KeyError, MemoryError) as error:
        refuse_without_memory(error, weights)
        raise WeightsCorrupted(
            f"{weights.source}: the weights cannot be loaded ({first_line(error, 200)}); fetch "
            "them again"
        ) from error
    wrong = [*report["missing_keys"], *map(str, report.get("mismatched_keys", ()))]
    if wrong:
        raise WeightsCorrupted(
            f"{weights.source}: {len(wrong)} tensors of the model are missing or of another shape "
            f"(first: {sorted(wrong)[0]}); fetch it again or give the right checkpoint"
        )
    if precision.quant == "nf4":
        keep_plain_cpu_path(model)
    return model.eval().requires_grad_(requires_grad=False)


def check_tokenizer(gemma: Gemma) -> None:
    """Raise `TokenizerMismatch` unless every token has a row and the image tokens are the model's.

    A head with more rows than the tokenizer has tokens is allowed: Gemma 3 pads its own.
    """
    config, tokenizer = gemma.model.config, gemma.tokenizer
    rows = int(gemma.model.get_output_embeddings().weight.shape[0])
    if len(tokenizer) > rows:
        raise TokenizerMismatch(
            f"{gemma.weights.source}: the tokenizer has {len(tokenizer)} tokens, the output head "
            f"only {rows} rows; put the tokenizer files of this very model beside its weights"
        )
    image_token = getattr(tokenizer, "image_token_id", None)
    if image_token != config.image_token_id:
        raise TokenizerMismatch(
            f"{gemma.weights.source}: the tokenizer marks images with token {image_token}, the "
            f"model with {config.image_token_id}; put the processor of this very model beside it"
        )


def check_image_size(gemma: Gemma) -> None:
    """Raise `ImageSizeError` unless the processor makes the images that the model takes."""
    size = gemma.processor.image_processor.size
    made = {size[k] if isinstance(size, dict) else getattr(size, k) for k in ("height", "width")}
    if made != {gemma.image_px}:
        raise ImageSizeError(
            f"{gemma.weights.source}: the image processor makes images of {sorted(made)} px, the "
            f"vision tower takes {gemma.image_px} px; put the processor files of this very model "
            "beside its weights"
        )
    tokens, expected = gemma.processor.image_seq_length, gemma.model.config.mm_tokens_per_image
    if tokens != expected:
        raise ImageSizeError(
            f"{gemma.weights.source}: the processor leaves {tokens} places per image, the model "
            f"fills {expected}; put the processor files of this very model beside its weights"
        )


def check_finite(gemma: Gemma) -> None:
    """Raise `LogitsNotFinite` unless a short text gives finite logits.

    Text only: at full size an image would cost a CPU most of a minute. What the vision tower
    says is checked on every real answer.
    """
    import torch

    ids = gemma.tokenizer("H&E", return_tensors="pt")["input_ids"].to(gemma.device)
    with torch.inference_mode():
        logits = gemma.model(input_ids=ids, token_type_ids=torch.zeros_like(ids)).logits
    if not bool(torch.isfinite(logits).all()):
        raise LogitsNotFinite(
            f"{gemma.weights.source}: answers NaN in {gemma.precision}; the weights are damaged or "
            "the number format is too small: run 'immunopath models verify', use bfloat16 or "
            "float32"
        )


def encode(gemma: Gemma, images: Sequence[RGB], text: str) -> EncodedPrompt:
    """Return one prompt as the model takes it: the images, then the text, then the model's turn.

    `images`: arrays (h, w, 3) uint8 of any size, resized by the model's own processor. Raises
    `ImageSizeError` when what comes out is not what the vision tower takes.
    """
    from PIL import Image

    pictures = [Image.fromarray(np.ascontiguousarray(image)) for image in images]
    content = [{"type": "image", "image": picture} for picture in pictures]
    turn = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
    batch = gemma.processor.apply_chat_template(
        turn, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    pixels = batch.get("pixel_values")
    expected = (len(images), 3, gemma.image_px, gemma.image_px)
    if images and (pixels is None or tuple(pixels.shape) != expected):
        made = None if pixels is None else tuple(pixels.shape)
        raise ImageSizeError(
            f"{gemma.weights.source}: the processor made pixels of shape {made}, the model takes "
            f"{expected}; put the processor files of this very model beside its weights"
        )
    return EncodedPrompt(batch["input_ids"], batch["token_type_ids"], pixels)


def generate(gemma: Gemma, images: Sequence[RGB], text: str) -> str:
    """Return the greedy, unforced answer to one prompt, at most `MAX_NEW_TOKENS` tokens.

    It runs the model in the caller's thread, so nothing else may ask the model meanwhile.
    """
    import torch

    prompt = encode(gemma, images, text)
    pixels = prompt.pixel_values
    if pixels is not None:
        pixels = pixels.to(gemma.device, gemma.model.dtype)
    with torch.inference_mode():
        written = gemma.model.generate(
            input_ids=prompt.input_ids.to(gemma.device),
            token_type_ids=prompt.token_type_ids.to(gemma.device),
            pixel_values=pixels,
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
        )
    own = written[0, prompt.input_ids.shape[1] :]
    return str(gemma.tokenizer.decode(own, skip_special_tokens=True))
