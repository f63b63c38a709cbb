"""Fusing what surrounds the matrix products of a Gemma 3, for accelerators (``compile=true``).

Layer norms, activations and residual sums are half of the time of a prompt pass on a large GPU
when every one of them is a kernel of its own. Whole layers of the vision tower are compiled (their
shapes are fixed), and of the text model the parts that do not touch masks or the cache.
"""

from typing import Any, Final

from immunopath.models.foundation.decoding.prefill import bare_model

TEXT_PARTS: Final = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


def compile_layers(
    model: Any,  # noqa: ANN401 - transformers or peft model
    backend: str = "inductor",
) -> int:
    """Have torch compile a model's layers at their first use; returns how many modules.

    Every layer has the same code, so one compilation serves all; it takes a minute or so at the
    first prompt. Answers stay within the rounding of the model's numbers. MLPs that are packed or
    carry an unmerged adapter are left as they are. `backend` is torch's name of a compiler.
    """
    inner = bare_model(model).model
    towers = list(inner.vision_tower.encoder.layers)
    for layer in towers:
        layer.compile(backend=backend)
    parts = [
        part
        for layer in inner.language_model.layers
        for part in (*(getattr(layer, name) for name in TEXT_PARTS), *_plain_mlp(layer.mlp))
    ]
    for part in parts:
        part.compile(backend=backend, dynamic=True)
    return len(towers) + len(parts)


def _plain_mlp(mlp: Any) -> list[Any]:  # noqa: ANN401
    from torch import nn

    plain = all(type(m) is nn.Linear for m in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
    return [mlp] if plain else []
