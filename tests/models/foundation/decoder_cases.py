"""Shared by the tests of the slot decoder: tiny models by folder, ragged prompts, own forwards."""

import functools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tiny_gemma import build_gemma3, encode, load, noise

from immunopath.models.foundation.decoding.answer import AnswerFormat, Layout
from immunopath.models.foundation.decoding.decoder import EncodedPrompt, SlotDecoder

WINDOWS = {"below": 4096, "above": 48}
"""Sliding windows with which all, or none, of the answers lie within the window."""
WANTED = [
    ("low", "MSI-H", "IE", 0.305, "moderate", "excluded", "high", 0.4),
    ("high", "MSS", "IE/F", 0.41, "low", "inflamed", "moderate", 0.0),
    ("low", "MSS", "D", 1.0, "high", "desert", "low", 0.001),
    ("high", "MSI-H", "F", 0.07, "moderate", "inflamed", "high", 0.5),
]
"""Answers that part late from others: see the names of the values."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower on more threads, much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def gemma(window: int = 48, attention: str = "sdpa") -> tuple[Any, Any]:
    """Return (model, processor) loaded from a saved checkpoint; callers may re-randomise it."""
    with tempfile.TemporaryDirectory() as folder:
        return load(build_gemma3(Path(folder), window=window), attn_implementation=attention)


@functools.cache
def ragged(n: int = 8) -> tuple[EncodedPrompt, ...]:
    """Return n prompts of different lengths with one and two images each."""
    processor = gemma()[1]
    return tuple(
        encode(
            processor,
            "Describe the tissue of this patch. " * (1 + (3 * i) % 8),
            [noise(3 * i + j) for j in range(1 + i % 2)],
        )
        for i in range(n)
    )


@functools.cache
def decoder(layout: Layout, window: int) -> SlotDecoder:
    """Return a decoder of the full answer; its model is `gemma(window)`."""
    model, processor = gemma(window)
    return SlotDecoder(model, processor.tokenizer, AnswerFormat(layout))


def uncached(model: Any, prompt: EncodedPrompt, tokens: Sequence[int]) -> torch.Tensor:
    """Return the logits of one forward of prompt and tokens without cache, [tokens + 1, width].

    Row i is the distribution after i of the tokens.
    """
    with torch.inference_mode():
        logits: torch.Tensor = model(**inputs_of(prompt, tokens), use_cache=False).logits
    return logits[0, prompt.input_ids.shape[1] - 1 :]


def inputs_of(prompt: EncodedPrompt, tokens: Sequence[int]) -> dict[str, Any]:
    """Return the arguments of a plain forward over prompt and tokens."""
    said = torch.tensor([list(tokens)], dtype=torch.long)
    ids = torch.cat([prompt.input_ids, said], dim=1)
    types = torch.cat([prompt.token_type_ids, torch.zeros_like(said)], dim=1)
    return {
        "input_ids": ids,
        "token_type_ids": types,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": prompt.pixel_values,
    }
