"""Weights that give a wanted answer: random ones with a few rows of the tied embedding moved."""

from collections.abc import Callable, Sequence
from typing import Any

import torch


def last_state(model: Any, prompt: Any, tokens: Sequence[int]) -> torch.Tensor:
    """Return the last hidden state after prompt and tokens, by one uncached forward."""
    said = torch.tensor([list(tokens)], dtype=torch.long)
    ids = torch.cat([prompt.input_ids, said], dim=1)
    with torch.inference_mode():
        out = model.model(
            input_ids=ids,
            token_type_ids=torch.cat([prompt.token_type_ids, torch.zeros_like(said)], dim=1),
            attention_mask=torch.ones_like(ids),
            pixel_values=prompt.pixel_values,
            use_cache=False,
        )
    state: torch.Tensor = out.last_hidden_state[0, -1]
    return state


def steer(
    model: Any, prompt: Any, wanted: Sequence[int], answered: Callable[[], Sequence[int]]
) -> bool:
    """Move rows until `answered()` (the tokens said to `prompt`) is `wanted`; returns success.

    Where the two part, the row of the wanted token is moved along the hidden state there, just so
    far that it wins by a margin of 2.
    """
    rows = model.model.language_model.embed_tokens.weight
    for _ in range(200):
        got = list(answered())
        if got == list(wanted):
            return True
        pairs = enumerate(zip(got, wanted, strict=False))
        part = next(i for i, (one, other) in pairs if one != other)
        state = last_state(model, prompt, wanted[:part])
        with torch.no_grad():
            gap = (rows[got[part]] - rows[wanted[part]]) @ state + 2.0
            rows[wanted[part]] += gap / state.square().sum() * state
    return False
