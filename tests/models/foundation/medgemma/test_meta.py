"""The real shape of MedGemma 4B, on the meta device: no weights, exact counts."""

from typing import Any

import pytest

from immunopath.models.foundation.medgemma.lora import Targets, lora_settings

PARAMETERS = 4_300_079_472


@pytest.fixture
def medgemma_4b() -> Any:
    torch = pytest.importorskip("torch")
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    text = Gemma3TextConfig(
        vocab_size=262_208,
        hidden_size=2560,
        intermediate_size=10_240,
        num_hidden_layers=34,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=256,
        sliding_window=1024,
    )
    vision = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        image_size=896,
        patch_size=14,
        vision_use_head=False,
    )
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=256)
    with torch.device("meta"):
        return Gemma3ForConditionalGeneration(config)


@pytest.mark.parametrize(
    ("targets", "modules", "in_vision", "trainable"),
    [
        ("all_linear", 400, 162, 38_497_792),
        ("named_seven", 319, 81, 32_788_480),
        ("text_only", 238, 0, 29_802_496),
    ],
)
def test_lora_parameters_at_full_size(
    medgemma_4b: Any, targets: Targets, modules: int, in_vision: int, trainable: int
) -> None:
    from peft import get_peft_model

    assert medgemma_4b.num_parameters() == PARAMETERS
    tuned = get_peft_model(medgemma_4b, lora_settings(targets))
    adapted = [n for n, _ in tuned.named_parameters() if n.endswith("lora_A.default.weight")]
    assert len(adapted) == modules
    assert sum("vision_tower" in name for name in adapted) == in_vision
    assert not any("lm_head" in name for name in adapted)
    assert tuned.get_nb_trainable_parameters() == (trainable, PARAMETERS + trainable)
