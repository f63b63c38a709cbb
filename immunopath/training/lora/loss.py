"""The loss of a batch: negative log-likelihood at the answer's tokens, weighted per field."""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

from collections.abc import Mapping
from typing import Any, Final

from immunopath.training.lora.rows import IGNORED, SKELETON

MODEL_KEYS: Final = ("input_ids", "attention_mask", "token_type_ids", "pixel_values")


def token_losses(model: Any, batch: Mapping[str, Any]) -> Any:
    """Return the negative log-likelihood (nats, float32) of every answer token, 0 at padding.

    Shape rows x kept positions. The output head runs at these positions only: over a whole prompt
    it would take more memory than all else (262,208 columns in Gemma 3).
    """
    import torch

    inputs = {name: batch[name] for name in MODEL_KEYS if name in batch}
    logits = model(**inputs, logits_to_keep=batch["keep"], use_cache=False).logits
    targets = batch["targets"]
    flat = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return flat.view(targets.shape)


def weighted_sum(losses: Any, batch: Mapping[str, Any]) -> Any:
    """Return the sum of weighted token losses; divided by the sum of ``total`` it is the loss."""
    return (losses * batch["weights"]).sum()


def field_sums(losses: Any, batch: Mapping[str, Any], fields: int) -> Any:
    """Return per field (the skeleton last) the sum of its tokens' losses and its number of rows.

    Shape (2, fields + 1). A field's loss is that of its whole value, the skeleton's that of
    all its tokens: sums, not means, over the tokens of a row.
    """
    import torch

    of = torch.where(batch["fields"] == SKELETON, fields, batch["fields"])
    known = batch["targets"] != IGNORED
    sums = torch.zeros(2, fields + 1, device=losses.device)
    sums[0].index_add_(0, of[known], losses.detach()[known])
    present = torch.zeros(len(of), fields + 1, device=losses.device)
    present.scatter_add_(1, of, known.float())
    sums[1] = (present > 0).float().sum(0)
    return sums


def enable_checkpointing(model: Any) -> None:
    """Compute activations again in the backward pass instead of keeping them.

    transformers renames the method in its version 6.
    """
    name = "activation_checkpointing_enable"
    enable = getattr(model, name, None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
