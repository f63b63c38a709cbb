"""A tiny open_clip model of its own classes, saved as open_clip saves one; needs the extra."""

import json
from pathlib import Path
from typing import Any

from immunopath.models.foundation.vision.open_clip_source import CONFIG, library

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
MODEL: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1,
    },
}  # fmt: skip


def build_open_clip(out: Path, **extra: Any) -> Path:
    """Save a model with random weights in `out`; `extra` replaces parts of its configuration."""
    clip = library()
    import torch
    from safetensors.torch import save_file

    out.mkdir()
    config = MODEL | extra
    settings = {"mean": MEAN, "std": STD, "interpolation": "bicubic"}
    (out / CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": settings}))
    torch.manual_seed(0)
    model = clip.create_model(f"local-dir:{out}", load_weights=False)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.mul_(2)
    tensors = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
    save_file(tensors, out / "open_clip_model.safetensors")
    return out
