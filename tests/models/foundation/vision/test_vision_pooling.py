"""What stands for an image differs between architectures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vision_cases import accepted, embedder


@pytest.mark.parametrize("kind", ["registers", "swin", "convnext"])
def test_other_architectures_are_pooled_by_what_they_have(kind: str, tmp_path: Path) -> None:
    folder = build_other(tmp_path / kind, kind)
    source = accepted(np.random.default_rng(2).integers(90, 230, (64, 64, 3), dtype=np.uint8))
    pixels = source.pixels(source.tiles[0].tile_id, 0.5)  # type: ignore[attr-defined]
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    x = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        out = model((x - 0.5) / 0.5)
    tokens = out.last_hidden_state
    expected = {
        "registers": {"auto": tokens[:, 0], "mean": tokens[:, 5:].mean(1)},
        "swin": {"auto": out.pooler_output, "mean": tokens.mean(1)},
        "convnext": {"auto": out.pooler_output.flatten(1)},
    }[kind]
    for pool, theirs in expected.items():
        ours = embedder("hf-vision", folder, pool=pool).embed(source)  # type: ignore[arg-type]
        assert np.allclose(ours, torch.nn.functional.normalize(theirs, dim=1), atol=1e-4), pool


def build_other(folder: Path, kind: str) -> Path:
    import transformers as hf
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    model: Any
    if kind == "registers":
        model = hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64,
            patch_size=16, num_register_tokens=4))  # fmt: skip
    elif kind == "swin":
        model = hf.SwinModel(hf.SwinConfig(image_size=64, patch_size=4, embed_dim=16, depths=[1, 1],
                                           num_heads=[2, 2], window_size=4))  # fmt: skip
    else:
        model = hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=[16, 32], depths=[1, 1],
                                                   num_stages=2))  # fmt: skip
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.mul_(3)
    model.save_pretrained(folder)
    ViTImageProcessorPil(
        size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder)
    return folder
