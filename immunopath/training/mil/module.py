"""The gated attention head in torch, with its losses. Imported only where a head is fitted.

`immunopath.models.mil.network` is what the engine runs; a test holds the two equal.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from immunopath.models.mil.network import LEAST_SCALE


class GatedAttention(nn.Module):
    """One member. Attention starts even, so that training begins at the mean over tiles."""

    def __init__(
        self, size: int, hidden: int, attention: int, dropout: float, dims: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.trunk = nn.Linear(size, hidden)
        self.gate = nn.Linear(hidden, attention)
        self.value = nn.Linear(hidden, attention)
        self.score = nn.Linear(attention, len(dims), bias=False)
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, n) for name, n in dims.items()})
        self.drop = nn.Dropout(dropout)
        nn.init.zeros_(self.score.weight)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return raw outputs per field, (patients, outputs).

        x: (patients, tiles, size), standardised; mask: (patients, tiles), False = padding.
        """
        h = self.drop(functional.relu(self.trunk(x)))
        scores = self.score(torch.tanh(self.value(h)) * torch.sigmoid(self.gate(h)))
        weights = torch.softmax(scores.masked_fill(~mask[..., None], -torch.inf), dim=1)
        pooled = torch.einsum("btk,bth->bkh", weights, h)
        return {name: head(pooled[:, k]) for k, (name, head) in enumerate(self.heads.items())}

    def begin_at(self, bias: Mapping[str, Tensor]) -> None:
        """Set the last biases: the head begins at the frequencies of the training split."""
        with torch.no_grad():
            for name, values in bias.items():
                head = self.heads[name]
                assert isinstance(head, nn.Linear)
                head.bias.copy_(values)
                head.weight.mul_(0.1)


def field_loss(raw: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the loss of one field, labels NaN left out; 0 when none is known.

    Classes: cross-entropy over log(classes), times the class weight; the sum is not divided by the
    batch's own weights, or a rare class would count least where it is there. Numbers: negative log
    density of the logistic distribution, of which the network gives centre and scale.
    """
    known = ~torch.isnan(labels)
    if not bool(known.any()):
        return raw.sum() * 0
    raw, labels = raw[known], labels[known]
    if weights is None:
        centre = torch.sigmoid(raw[:, 0])
        scale = functional.softplus(raw[:, 1]) + LEAST_SCALE
        z = (labels - centre) / scale
        return (z + 2 * functional.softplus(-z) + torch.log(scale)).mean()
    chance = torch.log(torch.tensor(float(len(weights))))
    each = functional.cross_entropy(raw, labels.long(), reduction="none") / chance
    return (each * weights[labels.long()]).mean()
