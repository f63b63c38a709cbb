"""From encoded prompts to a filled cache: images once, left padding, one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from immunopath.domain.errors import EngineError, TokenizerMismatch
from immunopath.models.foundation.decoding.segments import CachedRows, Piece, join

if TYPE_CHECKING:
    import torch

VISION_BATCH = 8
"""Images per pass of the vision tower: bounds its activations."""
PREFILL_TOKENS = (32_768, 1_024)
"""Prompt tokens per pass of the language model, on an accelerator and on a CPU: more does not help
a CPU, whose caches are small."""

_STRIDE = 4_099
"""A prime, so that the numbers compared first lie in different columns of an image."""


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt as the processor encodes it, without padding.

    input_ids, token_type_ids: int64 [1, tokens]; the type is 1 exactly at image soft tokens.
    pixel_values: float [images, 3, height, width], or None for a prompt without image.
    """

    input_ids: torch.Tensor
    token_type_ids: torch.Tensor
    pixel_values: torch.Tensor | None


def bare_model(model: Any) -> Any:  # noqa: ANN401
    """Return the Gemma3ForConditionalGeneration inside a model; LoRA layers stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def prefill(
    model: Any,  # noqa: ANN401
    prompts: Sequence[EncodedPrompt],
    piece: Piece,
) -> tuple[CachedRows, torch.Tensor]:
    """Return the rows and the hidden states of `piece`, which follows every prompt.

    The hidden states are [rows, len(piece), hidden]. Rows go through the model in groups of at
    most `PREFILL_TOKENS` and are joined afterwards, which bounds activations and padding. Raises
    `TokenizerMismatch` when image tokens and images do not match, `EngineError` for an empty
    batch.
    """
    import torch

    if not prompts:
        raise EngineError("no prompt to decode")
    inner = bare_model(model).model
    features = image_features(inner, prompts)
    device = inner.language_model.get_input_embeddings().weight.device
    parts, states = [], []
    for group in _groups(prompts, len(piece), PREFILL_TOKENS[device.type == "cpu"]):
        images = sum(0 if p.pixel_values is None else len(p.pixel_values) for p in group)
        own = features[:images] if features is not None and images else None
        features = features[images:] if features is not None else None
        rows, hidden = _prefill_group(inner, group, own, piece)
        parts.append(rows)
        states.append(hidden)
    return join(parts), torch.cat(states)


def _groups(
    prompts: Sequence[EncodedPrompt], extra: int, budget: int
) -> list[Sequence[EncodedPrompt]]:
    """Return consecutive runs whose padded size stays within `budget` tokens, or single rows."""
    groups: list[list[EncodedPrompt]] = []
    for prompt in prompts:
        if groups:
            longest = max(p.input_ids.shape[1] for p in [*groups[-1], prompt]) + extra
            if longest * (len(groups[-1]) + 1) <= budget:
                groups[-1].append(prompt)
                continue
        groups.append([prompt])
    return list(groups)


def _prefill_group(
    inner: Any,  # noqa: ANN401
    prompts: Sequence[EncodedPrompt],
    features: torch.Tensor | None,
    piece: Piece,
) -> tuple[CachedRows, torch.Tensor]:
    import torch

    text = inner.language_model
    device = text.get_input_embeddings().weight.device
    width = max(prompt.input_ids.shape[1] for prompt in prompts)
    total = width + len(piece)
    tokens = torch.zeros(len(prompts), total, dtype=torch.long)
    block = torch.full((len(prompts), total), -1, dtype=torch.long)
    first = torch.tensor([width - prompt.input_ids.shape[1] for prompt in prompts])
    for row, prompt in enumerate(prompts):
        tokens[row, first[row] : width] = prompt.input_ids[0].cpu()
        block[row, first[row] : width] = _blocks(prompt.token_type_ids[0].cpu())
    tokens[:, width:] = torch.tensor(piece.tokens, dtype=torch.long)
    embeds = _embed(inner, features, tokens.to(device))
    seen = _visible(first, block, width, piece)
    place = torch.arange(total)
    depth = (place[None, :] - first[:, None]).clamp(min=0)
    depth[:, width:] = (width - first)[:, None] + torch.tensor(
        [len(ancestors) - 1 for ancestors in piece.ancestors()], dtype=torch.long
    )
    stays = (place[None, :] >= first[:, None]) & (place < width + len(piece.chain))[None, :]
    rows = CachedRows(text)
    hidden = rows.feed(embeds, seen.to(device), depth.to(device), stays.to(device))
    rows.shift(width)
    return rows, hidden[:, width:]


def _blocks(types: torch.Tensor) -> torch.Tensor:
    """Return, per token, the number of the image block it belongs to, or -1; [tokens]."""
    import torch

    is_image = types == 1
    before = torch.cat([is_image.new_zeros(1), is_image[:-1]])
    number = (is_image & ~before).long().cumsum(0) - 1
    return number.masked_fill(~is_image, -1)


def _visible(first: torch.Tensor, block: torch.Tensor, width: int, piece: Piece) -> torch.Tensor:
    """Return bool [rows, total, total]: causal without padding, images within themselves."""
    import torch

    total = block.shape[1]
    place = torch.arange(total)
    causal = (place[None, :] <= place[:, None])[None] & (place[None, :] >= first[:, None])[:, None]
    same = (block[:, :, None] == block[:, None, :]) & (block[:, :, None] >= 0)
    seen = causal | same
    seen[:, :, width:] = False
    for index, ancestors in enumerate(piece.ancestors()):
        seen[:, width + index, [width + i for i in ancestors]] = True
    return seen


def _embed(inner: Any, features: torch.Tensor | None, tokens: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return [rows, total, hidden]: scaled embeddings with the image features in their places."""
    image_id = inner.config.image_token_id
    at_image = tokens == image_id
    # The image token may lie outside the vocabulary; its row is overwritten anyway.
    embeds: torch.Tensor = inner.language_model.get_input_embeddings()(
        tokens.masked_fill(at_image, 0)
    )
    expected = 0 if features is None else features.shape[0] * features.shape[1]
    found = int(at_image.sum())
    if found != expected:
        raise TokenizerMismatch(
            f"the prompts hold {found} image tokens and the images give {expected}; "
            "use the processor of the checkpoint"
        )
    if features is None:
        return embeds
    return embeds.masked_scatter(at_image[..., None], features.to(embeds.dtype))


def image_features(inner: Any, prompts: Sequence[EncodedPrompt]) -> torch.Tensor | None:  # noqa: ANN401
    """Return the projected features of all images in prompt order, [images, tokens, hidden].

    Each distinct image goes through the vision tower once, however many prompts show it.
    """
    import torch

    images = [image for p in prompts if p.pixel_values is not None for image in p.pixel_values]
    if not images:
        return None
    distinct, where = _distinct(images)
    weight = inner.vision_tower.get_input_embeddings().weight
    parts = []
    for start in range(0, len(distinct), VISION_BATCH):
        # Rounded before it travels: half the bytes.
        batch = torch.stack(distinct[start : start + VISION_BATCH]).to(weight.dtype)
        out = inner.get_image_features(batch.to(weight.device), return_dict=True)
        parts.append(out.pooler_output)
    features = torch.cat(parts)
    return features if len(distinct) == len(images) else features[where]


def _distinct(images: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[int]]:
    """Return the different images in order, and which of them each image is.

    Every `_STRIDE`-th number is compared first, and whole images only where those agree.
    """
    import torch

    distinct: list[torch.Tensor] = []
    alike: dict[bytes, list[int]] = {}
    where = []
    for image in images:
        sample = image.detach().reshape(-1)[::_STRIDE].cpu().float().numpy().tobytes()
        known = alike.setdefault(sample, [])
        same = next((i for i in known if torch.equal(distinct[i], image)), None)
        if same is None:
            same = len(distinct)
            known.append(same)
            distinct.append(image)
        where.append(same)
    return distinct, where
