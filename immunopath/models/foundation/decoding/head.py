"""The output head: a few rows of it for choices, all of it for the mass outside the schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from immunopath.domain.errors import CheckpointClassError, TokenizerMismatch
from immunopath.models.foundation.decoding.prefill import bare_model

if TYPE_CHECKING:
    import torch

VOCABULARY_BLOCK = 8_192
"""Rows of the head per matrix product: bounds the memory of logits and of a float32 copy."""


class OutputHead:
    """The language-model head of a Gemma 3, through LoRA or a trained copy of it if there is one.

    Logits are float32 whatever the weights are. Soft capping of the configuration is applied.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        """Raises `CheckpointClassError` when the head is not a plain matrix."""
        bare = bare_model(model)
        self._weight = _plain_weight(bare.get_output_embeddings())
        self._cap = bare.config.get_text_config().final_logit_softcapping

    @property
    def width(self) -> int:
        """How many tokens the head tells apart."""
        return int(self._weight.shape[0])

    def rows(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the rows of some tokens, float32 [tokens, hidden]; `TokenizerMismatch` outside."""
        if tokens and max(tokens) >= self.width:
            raise TokenizerMismatch(
                f"token {max(tokens)} of the answer lies outside the output head ({self.width} "
                "rows); tokenizer and model do not belong together"
            )
        return self._weight[list(tokens)].float()

    def logits(self, hidden: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits of `rows` for hidden states [..., hidden], float32 [..., tokens]."""
        return self._capped(hidden.float() @ rows.T)

    def log_partition(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return log sum exp over the whole head for [n, hidden], float32 [n]."""
        import torch

        states = hidden.float()
        parts = []
        for start in range(0, self.width, VOCABULARY_BLOCK):
            block = self._weight[start : start + VOCABULARY_BLOCK].float()
            parts.append(torch.logsumexp(self._capped(states @ block.T), dim=-1))
        total: torch.Tensor = torch.logsumexp(torch.stack(parts), dim=0)
        return total

    def _capped(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self._cap is None else (logits / self._cap).tanh() * self._cap


def _plain_weight(head: Any) -> torch.Tensor:  # noqa: ANN401
    """Return the matrix of a head module [vocabulary, hidden]; a PEFT copy in use wins."""
    copies = getattr(head, "modules_to_save", None)
    if copies is not None:
        active = head.active_adapters if hasattr(head, "active_adapters") else head.active_adapter
        head = copies[active if isinstance(active, str) else active[0]]
    if hasattr(head, "lora_A") or getattr(head, "bias", None) is not None:
        raise CheckpointClassError(
            "the output head carries LoRA layers or a bias; merge the adapter first"
        )
    weight: torch.Tensor = head.weight
    if weight.ndim != 2 or not weight.is_floating_point():
        raise CheckpointClassError("the output head is quantized; leave lm_head out of it")
    return weight.detach()
