"""Short forward passes of Gemma 3 over a kept key-value cache, row by row of unequal length.

Every pass brings its own attention masks, so that rows of a batch may differ in length, may leave
holes and may look ahead along a tree of alternatives, and stay exact below and above the sliding
window. What the masks say:

* full attention: a key is seen when it is still alive in its row and stands before the query
  (image tokens of one block also see each other);
* sliding attention: the same, and query position minus key position is below the window. It is
  positions that count, never places in the cache: holes must not consume window.

The cache is a plain `DynamicCache` without a configuration, which keeps every key; with one,
sliding layers would throw keys away by place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from immunopath.domain.errors import CheckpointClassError
from immunopath.models.foundation.hf_loading import transformers

if TYPE_CHECKING:
    import torch

ATTENTION: Final = ("sdpa", "eager")
"""Implementations that honour a mask of our own; flash attention ignores it without a word."""


@dataclass(frozen=True)
class Piece:
    """What one row feeds in one pass.

    chain: tokens that follow what the row has said, and stay. tree: alternatives after the chain,
    each ``(token, parent)`` with parent an index into `tree` or -1 for the end of the chain; they
    are read and forgotten unless `CachedRows.keep` is told.
    """

    chain: tuple[int, ...] = ()
    tree: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.chain) + len(self.tree)

    def ancestors(self) -> list[list[int]]:
        """Return, per token, the indices of the tokens of this piece that it sees, itself last."""
        seen = [list(range(i + 1)) for i in range(len(self.chain))]
        trunk = list(range(len(self.chain)))
        for offset, (_, parent) in enumerate(self.tree, start=len(self.chain)):
            before = trunk if parent < 0 else seen[len(self.chain) + parent]
            seen.append([*before, offset])
        return seen

    @property
    def tokens(self) -> tuple[int, ...]:
        """Every token of the piece in feeding order."""
        return self.chain + tuple(token for token, _ in self.tree)


class CachedRows:
    """A batch of prompts and what has been said after each, with the keys and values of both.

    alive: bool [rows, cached], which cached tokens a row still sees. positions: int64 [rows,
    cached]. The next position of a row counts its alive tokens only.
    """

    def __init__(self, text_model: Any) -> None:  # noqa: ANN401 - transformers' Gemma3TextModel
        """Raises `CheckpointClassError` for an attention that would ignore the masks."""
        config = text_model.config
        implementation = getattr(config, "_attn_implementation", None)
        if implementation not in ATTENTION:
            raise CheckpointClassError(
                f"attention implementation {implementation!r} ignores the masks that images need; "
                f"load the model with attn_implementation={ATTENTION[0]!r}"
            )
        if getattr(config, "use_bidirectional_attention", False):
            raise CheckpointClassError("a bidirectional Gemma 3 is an encoder and cannot answer")
        self._model = text_model
        self._window = config.sliding_window
        self._cache: Any = transformers().DynamicCache()
        self._alive: Any = None
        self._positions: Any = None
        self._next: Any = None
        self._start = 0
        self.passes = 0

    def feed(
        self, embeds: torch.Tensor, seen: torch.Tensor, depth: torch.Tensor, stays: torch.Tensor
    ) -> torch.Tensor:
        """Run one pass; returns the last hidden states, [rows, length, hidden].

        embeds: [rows, length, hidden], scaled token embeddings (image features in their places).
        seen: bool [rows, length, length], which tokens of this pass each token sees.
        depth: int64 [rows, length], position counted from the row's next one.
        stays: bool [rows, length], whether a token is alive for later passes.
        """
        positions, full = self._admit(seen, depth, stays)
        near = positions[:, :, None] - self._positions[:, None, :] < self._window
        out = self._model(
            inputs_embeds=embeds,
            attention_mask={
                "full_attention": _additive(full, embeds.dtype),
                "sliding_attention": _additive(full & near, embeds.dtype),
            },
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
        )
        self.passes += 1
        hidden: torch.Tensor = out.last_hidden_state
        return hidden

    def _admit(
        self, seen: torch.Tensor, depth: torch.Tensor, stays: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Enter a pass in the books; returns its positions and what its tokens see in full."""
        import torch

        if self._positions is None:
            self._alive = stays.new_zeros(len(depth), 0)
            self._positions = depth.new_zeros(len(depth), 0)
            self._next = depth.new_zeros(len(depth))
        self._start = self._alive.shape[1]
        positions = self._next[:, None] + depth
        past = self._alive[:, None, :].expand(-1, depth.shape[1], -1)
        self._positions = torch.cat([self._positions, positions], dim=1)
        self._alive = torch.cat([self._alive, stays], dim=1)
        self._next = self._next + stays.sum(dim=1)
        return positions, torch.cat([past, seen], dim=-1)

    def extend(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """Feed one piece per row; returns the last hidden states, [rows, longest piece, hidden].

        Token i of a row's piece stands at index i of its row; what lies behind is padding.
        """
        import torch

        length = max(len(piece) for piece in pieces)
        # Rows that feed the same piece are laid out once: a slot has few different ones.
        kinds = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
        tokens = torch.zeros(len(kinds), length, dtype=torch.long)
        depth = torch.zeros(len(kinds), length, dtype=torch.long)
        stays = torch.zeros(len(kinds), length, dtype=torch.bool)
        seen = torch.zeros(len(kinds), length, length, dtype=torch.bool)
        for piece, kind in kinds.items():
            tokens[kind, : len(piece)] = torch.tensor(piece.tokens, dtype=torch.long)
            stays[kind, : len(piece.chain)] = True
            for index, ancestors in enumerate(piece.ancestors()):
                seen[kind, index, ancestors] = True
                depth[kind, index] = len(ancestors) - 1
        row = [kinds[piece] for piece in pieces]
        tokens, depth, stays, seen = tokens[row], depth[row], stays[row], seen[row]
        embedding = self._model.get_input_embeddings()
        device = embedding.weight.device
        return self.feed(
            embedding(tokens.to(device)), seen.to(device), depth.to(device), stays.to(device)
        )

    def keep(self, kept: Mapping[int, Sequence[int]]) -> None:
        """Let tree tokens of the last pass stay, by row: paths from the chain's end, in order."""
        pairs = [(row, self._start + index) for row, path in kept.items() for index in path]
        if not pairs:
            return
        # One assignment for all rows: each would be a transfer of its own on an accelerator.
        rows, places = zip(*pairs, strict=True)
        self._alive[list(rows), list(places)] = True
        self._next += self._next.new_tensor([len(kept.get(r, ())) for r in range(len(self._next))])

    @classmethod
    def joined(cls, parts: Sequence[CachedRows]) -> CachedRows:
        """See `join`."""
        import torch
        from torch.nn.functional import pad

        alive = [part._alive for part in parts]
        positions = [part._positions for part in parts]
        longest = max(part.shape[1] for part in alive)
        gaps = [longest - part.shape[1] for part in alive]
        whole = cls(parts[0]._model)
        for number in range(len(parts[0]._cache.layers)):
            layers = [part._cache.layers[number] for part in parts]
            keys, values = (
                torch.cat([pad(t, (0, 0, gap, 0)) for t, gap in zip(side, gaps, strict=True)])
                for side in ([x.keys for x in layers], [x.values for x in layers])
            )
            whole._cache.update(keys, values, number)
            # Each part's layer is let go as soon as it was copied: two caches never coexist.
            for layer in layers:
                layer.keys = layer.values = keys.new_zeros(0)
        whole._alive = torch.cat([pad(t, (gap, 0)) for t, gap in zip(alive, gaps, strict=True)])
        whole._positions = torch.cat(
            [pad(t, (gap, 0)) for t, gap in zip(positions, gaps, strict=True)]
        )
        whole._next = torch.cat([part._next for part in parts])
        whole._start = parts[0]._start + gaps[0]
        whole.passes = sum(part.passes for part in parts)
        return whole

    def shift(self, places: int) -> None:
        """Let the indices of `keep` count from `places` further on in the last pass."""
        self._start += places

    def select(self, rows: Sequence[int]) -> CachedRows:
        """Return a copy with the given rows, repeats allowed; this one stays as it is."""
        import torch

        index = torch.tensor(list(rows), device=self._alive.device)
        copy = CachedRows(self._model)
        for number, layer in enumerate(self._cache.layers):
            copy._cache.update(
                layer.keys.index_select(0, index), layer.values.index_select(0, index), number
            )
        copy._alive = self._alive[index]
        copy._positions = self._positions[index]
        copy._next = self._next[index]
        copy._start = self._start
        return copy


def join(parts: Sequence[CachedRows]) -> CachedRows:
    """Return the rows of all parts as one batch; shorter caches get holes in front.

    `keep` goes on counting from the end of the parts' last pass, which must have been equally
    long in all of them.
    """
    if len(parts) == 1:
        return parts[0]
    return CachedRows.joined(parts)


def _additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return [rows, 1, queries, keys]: 0 where visible, the lowest finite number elsewhere.

    Finite, so that a query of padding, which sees nothing, gives no NaN.
    """
    import torch

    mask = torch.full(visible.shape, torch.finfo(dtype).min, dtype=dtype, device=visible.device)
    return mask.masked_fill_(visible, 0.0)[:, None]
