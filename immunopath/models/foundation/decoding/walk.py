"""One answer being written: at each choice it takes a token, greedily or by drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random

from immunopath.models.foundation.decoding.slots import Slot

Picker = Callable[[Mapping[int, float]], int]
"""Takes the log-probabilities of the allowed tokens (ascending ids), returns one of the tokens."""


def greedy(choice: Mapping[int, float]) -> int:
    """Return the most probable token; the lowest id of equals."""
    return max(choice, key=lambda token: choice[token])


def drawing(seed: str) -> Picker:
    """Return a picker that draws; its stream depends on `seed` alone."""
    source = Random(seed)  # noqa: S311 - reproducible sampling, nothing secret

    def pick(choice: Mapping[int, float]) -> int:
        left = source.random()
        for token, log_probability in choice.items():
            left -= math.exp(log_probability)
            if left < 0:
                return token
        return greedy(choice)

    return pick


def log_softmax(logits: Mapping[int, float]) -> dict[int, float]:
    """Return natural log-probabilities over the given tokens."""
    top = max(logits.values())
    total = math.log(math.fsum(math.exp(value - top) for value in logits.values())) + top
    return {token: value - total for token, value in logits.items()}


class Walk:
    """The way of one answer through the slots.

    choices: per slot, node -> log-probabilities of its allowed next tokens, as far as read.
    paths: per slot, the nodes taken, from the one after the root to the leaf.
    pending: tokens decided and not yet fed to the model.
    """

    def __init__(self, pick: Picker) -> None:
        self._pick = pick
        self.choices: list[dict[int, dict[int, float]]] = []
        self.paths: list[list[int]] = []
        self.pending: tuple[int, ...] = ()

    @property
    def node(self) -> int:
        """Where the walk stands in the present slot."""
        return self.paths[-1][-1] if self.paths[-1] else 0

    def enter(self, slot: Slot, logits: Mapping[int, Mapping[int, float]]) -> list[int]:
        """Begin a slot with the nodes read together; returns those of `slot.ahead` on the way.

        The caller keeps their keys and values; whatever else was decided is `pending`.
        """
        self.choices.append({node: log_softmax(values) for node, values in logits.items()})
        self.paths.append([])
        self._go(slot)
        kept = [node for node in self.paths[-1] if node in slot.ahead]
        self.pending = tuple(slot.nodes[node].token for node in self.paths[-1][len(kept) :])
        return kept

    def read(self, slot: Slot, logits: Mapping[int, float]) -> None:
        """Go on after `pending` was fed and the choice at `node` was read."""
        self.choices[-1][self.node] = log_softmax(logits)
        known = len(self.paths[-1])
        self._go(slot)
        self.pending = tuple(slot.nodes[node].token for node in self.paths[-1][known:])

    def finished(self, slot: Slot) -> bool:
        """Return whether the present slot is decided to its end."""
        return not slot.nodes[self.node].children

    def _go(self, slot: Slot) -> None:
        """Follow forced tokens and known choices as far as they lead."""
        while children := slot.nodes[self.node].children:
            if len(children) == 1:
                self.paths[-1].append(next(iter(children.values())))
            elif self.node in self.choices[-1]:
                self.paths[-1].append(children[self._pick(self.choices[-1][self.node])])
            else:
                return

    def literal(self, index: int, slot: Slot) -> str:
        """Return the JSON literal that was written in a finished slot."""
        return slot.nodes[self.paths[index][-1]].literals[0]

    def tokens(self, index: int, slot: Slot) -> list[int]:
        """Return the tokens of a finished slot, its closing token included."""
        return [slot.nodes[node].token for node in self.paths[index]]

    def log_probability(self, index: int, slot: Slot, *, first: bool) -> float:
        """Return the log-probability of a slot's choices among the allowed tokens.

        first: whether the choice at the root counts.
        """
        total = 0.0
        before = 0
        for node in self.paths[index]:
            choice = self.choices[index].get(before)
            if choice is not None and (first or before):
                total += choice[slot.nodes[node].token]
            before = node
        return total
