"""A tiny SigLIP checkpoint with its processor: the classes of MedSigLIP, made here, offline."""

import io
from pathlib import Path
from typing import Any

from immunopath.models.foundation.vision.phenotype_prompts import shipped_prompts
from immunopath.models.torchvision_guard import guard_torchvision

PX = 56


def build_siglip(folder: Path, px: int = PX, seed: int = 0, scale: float = 4.0) -> Path:
    """Save a SiglipModel of 64 x 2 layers with random weights, a tokenizer and a processor."""
    guard_torchvision()
    import sentencepiece
    import torch
    from transformers import SiglipConfig, SiglipModel, SiglipProcessor, SiglipTokenizer
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([p.lower() for p in shipped_prompts().prompts] * 20),
        model_writer=written,
        vocab_size=200,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        eos_piece="</s>",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    pieces = folder / "spiece.model"
    pieces.write_bytes(written.getvalue())
    tokenizer = SiglipTokenizer(vocab_file=str(pieces), model_max_length=64)
    tower: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = {
        **tower,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 64,
        "projection_size": 64,
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    config = SiglipConfig(
        text_config=text, vision_config={**tower, "image_size": px, "patch_size": 14}
    )
    model = SiglipModel(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1:  # the initial 0.02 leaves every image with nearly one embedding
                value.mul_(3 if "embed" in name else 2)
        model.logit_scale.fill_(scale)
        model.logit_bias.fill_(-2.0)
    images = SiglipImageProcessorPil(size={"height": px, "width": px})
    model.save_pretrained(folder)
    SiglipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder
