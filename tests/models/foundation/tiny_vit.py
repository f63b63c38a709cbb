"""A tiny ViT checkpoint of transformers with its image processor, made here, offline."""

from pathlib import Path

from immunopath.models.torchvision_guard import guard_torchvision

PX = 112


def build_vit(folder: Path, px: int = PX, seed: int = 0, pooler: bool = False) -> Path:
    """Save a ViTModel of 32 x 2 layers with random weights; 16 tokens of 28 px and a CLS token."""
    guard_torchvision()
    import torch
    from transformers import ViTConfig, ViTModel
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(seed)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=px, patch_size=px // 4,
    )  # fmt: skip
    model = ViTModel(config, add_pooling_layer=pooler)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.mul_(4)
    model.save_pretrained(folder)
    ViTImageProcessorPil(
        size={"height": px, "width": px}, image_mean=[0.7, 0.55, 0.7], image_std=[0.2, 0.3, 0.2]
    ).save_pretrained(folder)
    return folder
