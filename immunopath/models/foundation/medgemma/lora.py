"""Which layers a LoRA adapts: the choices that published adapters made, by name.

"All linear" and "the seven projections" are not the text model: the vision tower's query, key and
value layers bear the same names. Parameter counts at the shape of MedGemma 4B, rank 16, are in
`tests/models/foundation/test_meta.py`.
"""

from typing import Any, Final, Literal

from immunopath.models.torchvision_guard import guard_torchvision

Targets = Literal["all_linear", "named_seven", "text_only"]

NAMED_SEVEN: Final = (
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
)  # fmt: skip
TEXT_ONLY: Final = (
    r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
)


def lora_settings(
    targets: Targets, *, rank: int = 16, alpha: int = 16, dropout: float = 0.05
) -> Any:  # noqa: ANN401 - peft.LoraConfig
    """Return a peft configuration for a Gemma 3 image-text model.

    ``all_linear``: every linear layer but the output head, the vision tower included (the
    published v3.1 and v2 adapters); ``named_seven``: what their cards list, which reaches the
    vision tower's attention too; ``text_only``: the text model alone. The output head and the
    embeddings are never trained: they are tied, and a merged adapter would lose them.
    """
    guard_torchvision()
    from peft import LoraConfig

    chosen: dict[Targets, str | list[str]] = {
        "all_linear": "all-linear",
        "named_seven": list(NAMED_SEVEN),
        "text_only": TEXT_ONLY,
    }
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        bias="none",
        target_modules=chosen[targets],
        task_type="CAUSAL_LM",
    )
