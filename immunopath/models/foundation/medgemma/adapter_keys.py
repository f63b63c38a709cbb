"""Names of LoRA tensors as transformers 5 has them, from those of every earlier layout.

Gemma 3 as of today: ``base_model.model.model.language_model.layers…``,
``base_model.model.model.vision_tower.encoder.layers…`` and ``base_model.model.lm_head``. Before
transformers 4.52 the text model lay at ``language_model.model`` and the head inside it; before
transformers 5 the vision tower had a ``vision_model`` between itself and its encoder.
"""

import re
from typing import Final

PREFIX: Final = "base_model.model."
_RULES: Final = (
    (re.compile(r"\Alanguage_model\.lm_head\."), "lm_head."),
    (re.compile(r"\Alanguage_model\.model\."), "model.language_model."),
    (re.compile(r"\Amodel\.language_model\.model\."), "model.language_model."),
    (re.compile(r"\A(vision_tower|multi_modal_projector)\."), r"model.\1."),
    (re.compile(r"\Amodel\.vision_tower\.vision_model\."), "model.vision_tower."),
)
_ADAPTER_NAME: Final = re.compile(
    r"(\.lora_(?:[AB]|embedding_[AB]|magnitude_vector))\.default(?=\.|\Z)"
)


def mapped_key(key: str) -> str:
    """Return a tensor's name in today's layout; a name of today's layout comes back unchanged."""
    if not key.startswith(PREFIX):
        return key
    rest = _ADAPTER_NAME.sub(r"\1", key[len(PREFIX) :])
    for pattern, replacement in _RULES:
        rest = pattern.sub(replacement, rest)
    return PREFIX + rest
