"""LoRA adapters for tiny Gemma 3 checkpoints: random ones, and ones trained to give an answer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from immunopath.models.protocols import RGB

LOW: dict[str, str | float | None] = {
    "cd274_expression": "low", "msi_status": "MSS", "tme_subtype": "D", "til_fraction": 0.29,
    "til_density": "low", "immune_phenotype": "desert", "cd8_infiltration": "low",
    "immune_score": 0.28,
}  # fmt: skip
HIGH: dict[str, str | float | None] = {
    "cd274_expression": "high", "msi_status": "MSI-H", "tme_subtype": "IE", "til_fraction": 0.72,
    "til_density": "high", "immune_phenotype": "inflamed", "cd8_infiltration": "high",
    "immune_score": 0.78,
}  # fmt: skip


def field(level: int, seed: int, size: int = 64) -> RGB:
    """A noisy image around a grey level."""
    noise = np.random.default_rng(seed).normal(level, 12, (size, size, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def adapted(base: Any, *, targets: str | list[str] = "all-linear", rank: int = 4) -> Any:
    """Return a peft model over a base model, LoRA B still zero."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        base,
        LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, task_type="CAUSAL_LM"),
    )


def random_adapter(base: Any, folder: Path, *, seed: int = 0, std: float = 0.1) -> Path:
    """Save an adapter whose LoRA B is random, so that it changes every answer."""
    import torch

    tuned = adapted(base)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, std, generator=source)
    tuned.save_pretrained(folder)
    return folder


def trained_adapter(
    gemma: Any,
    folder: Path,
    rows: Sequence[tuple[RGB, Mapping[str, object]]],
    text: str,
    *,
    steps: int = 60,
) -> Path:
    """Train a LoRA on the answers' tokens only, save it, and return its folder.

    `gemma`: an immunopath Gemma; every row is one image and its answer, indented JSON.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from immunopath.models.foundation.medgemma.gemma import encode

    tuned = adapted(gemma.model, rank=8).train()
    batch = [_example(gemma, encode(gemma, [image], text), answer) for image, answer in rows]
    ids, types, mask, labels = (torch.stack(column) for column in _padded(batch))
    pixels = torch.cat([row[2] for row in batch])
    wanted = [p for p in tuned.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(wanted, lr=2e-2)
    for _ in range(steps):
        logits = tuned(
            input_ids=ids, token_type_ids=types, attention_mask=mask, pixel_values=pixels
        ).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tuned.save_pretrained(folder)
    return folder


def _example(gemma: Any, prompt: Any, answer: Mapping[str, object]) -> tuple[Any, Any, Any]:
    import torch

    text = json.dumps(answer, indent=2) + "<end_of_turn>\n"
    reply = gemma.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    ids = torch.cat([prompt.input_ids, reply], dim=1)[0]
    types = torch.cat([prompt.token_type_ids, torch.zeros_like(reply)], dim=1)[0]
    labels = torch.cat([torch.full_like(prompt.input_ids, -100), reply], dim=1)[0]
    return torch.stack([ids, types, labels]), None, prompt.pixel_values


def _padded(batch: Sequence[tuple[Any, Any, Any]]) -> tuple[list[Any], ...]:
    """Pad on the right: ids, token types, mask, labels."""
    import torch

    width = max(row[0].shape[1] for row in batch)
    ids, types, mask, labels = [], [], [], []
    for packed, _, _ in batch:
        short = width - packed.shape[1]
        extra = torch.zeros(short, dtype=packed.dtype)
        ids.append(torch.cat([packed[0], extra]))
        types.append(torch.cat([packed[1], extra]))
        mask.append(torch.cat([torch.ones_like(packed[0]), extra]))
        labels.append(torch.cat([packed[2], extra - 100]))
    return ids, types, mask, labels
