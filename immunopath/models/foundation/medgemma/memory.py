"""How much memory a foundation predictor needs, from its configuration alone.

Weights are counted on the meta device, byte by byte: nothing is loaded. The key-value cache is
exact for a given number of cached tokens. Activations are those of the widest moment: a group of
images in the vision tower, a group of prompts in the text layers, or a block of the output head.
All of it comes on top of what the imported libraries and the allocator's own book-keeping take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from immunopath.models.foundation.decoding.head import VOCABULARY_BLOCK
from immunopath.models.foundation.decoding.prefill import PREFILL_TOKENS, VISION_BATCH
from immunopath.models.foundation.hf_loading import transformers
from immunopath.models.foundation.precision import FULL_PRECISION_MODULES, Precision

FLOAT32: Final = Precision("float32")
IMAGE_TEXT = "AutoModelForImageTextToText"
NF4_BLOCK = 64
NF4_NESTED_BLOCK = 256

ANSWER_CACHE_TOKENS = 136
"""Cached tokens per row behind the prompt: the longest of the three layouts' answers (98), the
alternatives read ahead (27) and padding between rows of unequal length."""
SLOTS = 8


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by purpose."""

    weights: int
    kv_cache: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes above the imported libraries."""
        return self.weights + self.kv_cache + self.activations


def estimate(  # noqa: PLR0913 - the quantities that decide it
    config: Any,  # noqa: ANN401 - transformers' Gemma3Config
    precision: Precision = FLOAT32,
    *,
    batch: int,
    prompt_tokens: int,
    images: int = 1,
    accelerator: bool = False,
) -> MemoryEstimate:
    """Return the estimate for one batch of the slot decoder.

    batch: prompts decoded together; prompt_tokens: of the longest one, image tokens included;
    images: per prompt.
    """
    size = precision.bytes_per_number
    cached = prompt_tokens + ANSWER_CACHE_TOKENS
    vision = _vision_bytes(config, min(VISION_BATCH, batch * images), size)
    text = _text_bytes(config, batch, prompt_tokens, size, PREFILL_TOKENS[not accelerator])
    inputs = batch * images * (_pixels(config) * 4 + _features(config) * size)
    return MemoryEstimate(
        weights=weight_bytes(config, precision),
        kv_cache=kv_bytes(config, rows=batch, tokens=cached, bytes_per_number=size),
        activations=inputs + max(vision, text, _head_bytes(config, batch)),
    )


def weight_bytes(
    config: Any,  # noqa: ANN401
    precision: Precision,
    auto: str = IMAGE_TEXT,
) -> int:
    """Return the bytes of all parameters, counted on the meta device; tied ones count once.

    auto: the Auto class of transformers that makes the model.
    """
    total = 0
    for numbers, quantizable in _parameters(config, auto):
        packed = quantizable and precision.quant == "nf4"
        total += nf4_bytes(numbers) if packed else numbers * precision.bytes_per_number
    return total


def parameter_count(config: Any) -> int:  # noqa: ANN401
    """Return how many parameters a model of this configuration has; tied ones count once."""
    return sum(numbers for numbers, _ in _parameters(config))


def nf4_bytes(numbers: int) -> int:
    """Return what bitsandbytes stores for a matrix in NF4 with double quantization.

    Half a byte per weight; a byte per block of 64 for its scale; 4 bytes per 256 scales, the two
    code books (16 and 256 numbers) and the scales' offset.
    """
    blocks = -(-numbers // NF4_BLOCK)
    nested = -(-blocks // NF4_NESTED_BLOCK)
    return -(-numbers // 2) + blocks + 4 * (nested + 16 + 256 + 1)


def kv_bytes(config: Any, *, rows: int, tokens: int, bytes_per_number: int) -> int:  # noqa: ANN401
    """Return the bytes of keys and values; the decoder's cache keeps every token in every layer."""
    text = config.get_text_config()
    per_token = 2 * text.num_key_value_heads * text.head_dim * text.num_hidden_layers
    return int(rows * tokens * per_token * bytes_per_number)


def _parameters(config: Any, auto: str = IMAGE_TEXT) -> Iterator[tuple[int, bool]]:  # noqa: ANN401
    """Yield (size, whether NF4 would pack it) of every parameter of a model without storage."""
    import torch

    build: Any = getattr(transformers(), auto)
    with torch.device("meta"):
        model = build.from_config(config)
    packed = {
        id(module.weight)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.startswith(FULL_PRECISION_MODULES)
    }
    for parameter in model.parameters():
        yield parameter.numel(), id(parameter) in packed


def _pixels(config: Any) -> int:  # noqa: ANN401
    return 3 * int(config.vision_config.image_size) ** 2


def _features(config: Any) -> int:  # noqa: ANN401
    return int(config.mm_tokens_per_image * config.get_text_config().hidden_size)


def _vision_bytes(config: Any, images: int, size: int) -> int:  # noqa: ANN401
    """Residual, normed copy, and the two sides of the activation between the wide matrices."""
    vision = config.vision_config
    tokens = images * (vision.image_size // vision.patch_size) ** 2
    widths = 2 * vision.hidden_size + 2 * vision.intermediate_size
    return int(tokens * widths * size + 2 * images * _pixels(config) * size)


def _text_bytes(
    config: Any,  # noqa: ANN401
    batch: int,
    prompt_tokens: int,
    size: int,
    budget: int,
) -> int:
    """Residual, normed copies, the three wide products, the masks, and one layer's new cache."""
    text = config.get_text_config()
    rows = max(1, min(batch, budget // max(prompt_tokens, 1)))
    tokens = rows * prompt_tokens
    widths = 4 * text.hidden_size + 3 * text.intermediate_size
    masks = 2 * tokens * prompt_tokens * (size + 1)
    joined = kv_bytes(config, rows=batch, tokens=prompt_tokens, bytes_per_number=size)
    return int(max(tokens * widths * size + masks, 2 * joined // text.num_hidden_layers))


def _head_bytes(config: Any, batch: int) -> int:  # noqa: ANN401
    """A float32 block of the head, and the logits of all slot starts with their exponentials."""
    width = min(VOCABULARY_BLOCK, config.get_text_config().vocab_size)
    return int(4 * width * (config.get_text_config().hidden_size + 3 * SLOTS * batch))
