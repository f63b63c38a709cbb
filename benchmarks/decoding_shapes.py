"""Models of fixed shape with random weights, and the prompts that the decoding benchmark asks."""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import copy
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/models/foundation"))

import tiny_gemma  # noqa: E402 - from the test folder just added
import torch  # noqa: E402

from immunopath.models.foundation.decoding.decoder import EncodedPrompt  # noqa: E402
from immunopath.models.foundation.medgemma.prompts import CARD  # noqa: E402
from immunopath.models.torchvision_guard import guard_torchvision  # noqa: E402

VOCABULARY = 262_208
TOKENS_LEARNED = 545
"""Size of the own tokenizer: with it the card prompt has about as many tokens as with Gemma's
(160) and the indented answer as many (98)."""


@dataclass(frozen=True)
class Shape:
    """What decides the cost of a Gemma 3 image-text model; names as in `tiny_gemma.config`."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    window: int
    pattern: int
    vocab_size: int
    vision_hidden: int
    vision_intermediate: int
    vision_layers: int
    vision_heads: int
    image_size: int
    mm_tokens: int

    @property
    def flops_per_image(self) -> float:
        """Floating-point operations of the vision tower's matrices, attention included."""
        n = (self.image_size // 14) ** 2
        matrices = 4 * self.vision_hidden**2 + 2 * self.vision_hidden * self.vision_intermediate
        return self.vision_layers * (2.0 * n * matrices + 4.0 * n * n * self.vision_hidden)

    def flops_of_prompt(self, tokens: int) -> float:
        """Floating-point operations of the text layers over a prompt, attention included."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        matrices = self.hidden * (2 * wide + 2 * narrow + 3 * self.intermediate)
        return self.layers * (2.0 * tokens * matrices + 4.0 * tokens * tokens * wide)


QUICK = Shape(512, 2048, 8, 8, 4, 64, 1024, 6, VOCABULARY, 384, 1536, 6, 6, 224, 16)
FULL = Shape(2560, 10240, 34, 8, 4, 256, 1024, 6, VOCABULARY, 1152, 4304, 27, 16, 896, 256)
TINY = Shape(64, 128, 4, 4, 2, 16, 64, 2, 1024, 64, 128, 2, 2, 56, 4)
SHAPES = {"quick": QUICK, "full": FULL, "tiny": TINY}


def tokenizer() -> Any:
    """Return a copy of the benchmark's own tokenizer; see `TOKENS_LEARNED`."""
    return copy.deepcopy(_learned())


@cache
def _learned() -> Any:
    return tiny_gemma.tokenizer(TOKENS_LEARNED, [CARD.text] * 3)


def build(shape: Shape, dtype: torch.dtype, device: str, seed: int = 0) -> Any:
    """Return a model of the shape with random weights."""
    guard_torchvision()
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(seed)
    config = tiny_gemma.config(tokenizer(), **asdict(shape))
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    model = model.eval()
    voice(model, seed)
    return model


def voice(model: Any, seed: int) -> None:
    """Randomise projector and embeddings in place (see `tiny_gemma.randomise`)."""
    source = torch.Generator(model.device).manual_seed(seed)
    with torch.no_grad():
        inner = model.model
        inner.multi_modal_projector.mm_input_projection_weight.normal_(0, 0.5, generator=source)
        inner.language_model.embed_tokens.weight.normal_(0, 0.1, generator=source)


def processor(shape: Shape) -> Any:
    """Return a processor for the shape, the one that `from_pretrained` would give."""
    guard_torchvision()
    from transformers import Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    size = {"height": shape.image_size, "width": shape.image_size}
    return Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size=size),
        tokenizer=tokenizer(),
        chat_template=tiny_gemma.TEMPLATE,
        image_seq_length=shape.mm_tokens,
    )


def prompts(shape: Shape, n: int, text: str = CARD.text, images: int = 1) -> list[EncodedPrompt]:
    """Return n prompts with the given text and random images of the shape's size."""
    made = processor(shape)
    size = shape.image_size
    return [
        tiny_gemma.encode(made, text, [tiny_gemma.noise(97 * i + j, size) for j in range(images)])
        for i in range(n)
    ]
