"""Slot decoding: the JSON skeleton is forced, only the slots are decided.

One pass reads the prompts, the skeleton up to the first slot and that slot's choice. One pass per
further slot feeds the value just decided, the skeleton behind it and, as a tree of alternatives,
everything the slot's table needs (``IE`` before ``/``; ``0.`` and its ten first digits). A number
takes one more for its third digit. Eight fields are ten passes instead of some ninety-eight.

The greedy path takes, at each choice, the best token among those with which a canonical
tokenization of a valid answer can go on: what `generate` would write under that restriction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from immunopath.domain.errors import LogitsNotFinite, TokenizerMismatch
from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.decoded import DecodedAnswer, conditioning_name
from immunopath.models.foundation.decoding.head import OutputHead
from immunopath.models.foundation.decoding.prefill import EncodedPrompt, prefill
from immunopath.models.foundation.decoding.reading import FirstTokens, read_slot
from immunopath.models.foundation.decoding.segments import CachedRows, Piece
from immunopath.models.foundation.decoding.slots import Slot, encode, plan_answer
from immunopath.models.foundation.decoding.walk import Walk, drawing, greedy

if TYPE_CHECKING:
    import torch

__all__ = ["EncodedPrompt", "SlotDecoder"]

FORK_ROWS = 32
"""Sampled histories per batch: each holds a copy of its prompt's keys and values."""


class SlotDecoder:
    """Decodes answers of one format with one Gemma 3 image-text model.

    full_head: read the whole output head at each field's first token, so that the mass outside
        the schema is known. marginal: 0 reads every field after the greedy values of the earlier
        ones; n > 0 averages its table over n sampled histories (`seed` fixes them, and they do
        not depend on the batch).

    Raises `TokenizerMismatch` or `CheckpointClassError` when model, tokenizer and format do not
    go together.
    """

    def __init__(  # noqa: PLR0913 - keyword options of one engine
        self,
        model: Any,  # noqa: ANN401 - transformers or peft model
        tokenizer: Any,  # noqa: ANN401
        answer: AnswerFormat,
        *,
        full_head: bool = True,
        marginal: int = 0,
        seed: int = 0,
    ) -> None:
        if marginal < 0:
            raise ValueError("marginal is a number of samples, 0 or more")
        self._model, self._tokenizer, self.answer = model, tokenizer, answer
        self.plan = plan_answer(tokenizer, answer)
        self._head = OutputHead(model)
        self._head.rows(self.plan.tokens)
        self._full_head, self._marginal, self._seed = full_head, marginal, seed
        self._pieces = [_ahead(slot) for slot in self.plan.slots]
        self.passes = 0
        """Forward passes of the language model in the last `decode`."""

    def decode(self, prompts: Sequence[EncodedPrompt]) -> tuple[DecodedAnswer, ...]:
        """Return one answer per prompt, decoded as one left-padded batch.

        Raises `EngineError` for an empty batch, `TokenizerMismatch` when image tokens and images
        differ in number, `LogitsNotFinite` for NaN or infinity.
        """
        import torch

        with torch.inference_mode():
            first = Piece(self.plan.slots[0].lead, self._pieces[0])
            rows, hidden = prefill(self._model, prompts, first)
            sampled = self._sample(rows, hidden, len(prompts)) if self._marginal else []
            walks = [Walk(greedy) for _ in prompts]
            openings = self._write(rows, hidden, walks)
            self.passes = rows.passes + sum(passes for passes, *_ in sampled)
            own = list(zip(walks, self._first_tokens(openings, len(prompts)), strict=True))
            histories = [[pair] for pair in own]
            if sampled:
                histories = self._gather(sampled, len(prompts))
        return tuple(
            self._answer(walk, tokens, history)
            for (walk, tokens), history in zip(own, histories, strict=True)
        )

    def _sample(
        self, rows: CachedRows, hidden: torch.Tensor, n: int
    ) -> list[tuple[int, list[int], list[Walk], list[torch.Tensor]]]:
        """Write the sampled histories of n prompts on copies of their rows, in chunks.

        Returns, per chunk, its forward passes, its prompts' rows, walks and openings.
        """
        jobs = [(row, sample) for row in range(n) for sample in range(self._marginal)]
        done = []
        for start in range(0, len(jobs), FORK_ROWS):
            chunk = jobs[start : start + FORK_ROWS]
            index = [row for row, _ in chunk]
            walks = [Walk(drawing(f"{self._seed}/{sample}")) for _, sample in chunk]
            fork = rows.select(index)
            openings = self._write(fork, hidden[index], walks)
            # The count alone: a fork's keys and values are as large as its prompts'.
            done.append((fork.passes, index, walks, openings))
            del fork
        return done

    def _gather(
        self,
        sampled: list[tuple[int, list[int], list[Walk], list[torch.Tensor]]],
        n: int,
    ) -> list[list[tuple[Walk, list[FirstTokens | None]]]]:
        histories: list[list[tuple[Walk, list[FirstTokens | None]]]] = [[] for _ in range(n)]
        for _, index, walks, openings in sampled:
            tokens = self._first_tokens(openings, len(walks))
            for row, walk, firsts in zip(index, walks, tokens, strict=True):
                histories[row].append((walk, firsts))
        return histories

    def _write(
        self, rows: CachedRows, hidden: torch.Tensor, walks: list[Walk]
    ) -> list[torch.Tensor]:
        """Write all slots of all rows; returns the hidden states at each slot's start.

        hidden: those of the first slot's piece, which was fed with the prompts.
        """
        openings: list[torch.Tensor] = []
        for slot, ahead in zip(self.plan.slots, self._pieces, strict=True):
            lengths = [len(slot.lead)] * len(walks)
            if openings:
                pieces = [Piece(walk.pending + slot.lead, ahead) for walk in walks]
                hidden = rows.extend(pieces)
                lengths = [len(piece.chain) for piece in pieces]
            read = _at(hidden, [[n - 1 + i for i in range(1 + len(ahead))] for n in lengths])
            openings.append(read[:, 0])
            nodes = (0, *slot.ahead)
            kept: dict[int, list[int]] = {}
            for row, logits in enumerate(self._choices(slot, read, [nodes] * len(walks))):
                way = walks[row].enter(slot, logits)
                kept[row] = [lengths[row] + slot.ahead.index(node) for node in way]
            rows.keep(kept)
            self._finish(rows, slot, walks)
        return openings

    def _finish(self, rows: CachedRows, slot: Slot, walks: list[Walk]) -> None:
        """Read the choices beyond those read ahead, until every row has decided the slot."""
        while open_rows := [r for r, walk in enumerate(walks) if not walk.finished(slot)]:
            pieces = [Piece() if walk.finished(slot) else Piece(walk.pending) for walk in walks]
            hidden = rows.extend(pieces)
            read = _at(hidden, [[max(len(piece) - 1, 0)] for piece in pieces])[open_rows]
            nodes = [(walks[row].node,) for row in open_rows]
            for row, logits in zip(open_rows, self._choices(slot, read, nodes), strict=True):
                walks[row].read(slot, logits[walks[row].node])

    def _choices(
        self, slot: Slot, read: torch.Tensor, nodes: Sequence[Sequence[int]]
    ) -> list[dict[int, dict[int, float]]]:
        """Return, per row, node -> allowed next token -> logit, for nodes that have a choice.

        read: [rows, nodes per row, hidden].
        """
        used = {token for row in nodes for node in row for token in slot.nodes[node].children}
        tokens = sorted(used)
        column = {token: place for place, token in enumerate(tokens)}
        logits = self._head.logits(read, self._head.rows(tokens))
        _check_finite(logits)
        values = logits.tolist()
        return [
            {
                node: {token: values[r][i][column[token]] for token in slot.nodes[node].children}
                for i, node in enumerate(row)
                if len(slot.nodes[node].children) > 1
            }
            for r, row in enumerate(nodes)
        ]

    def _first_tokens(
        self, openings: list[torch.Tensor], rows: int
    ) -> list[list[FirstTokens | None]]:
        """Return, per row and slot, the full head's log-probabilities at the slot's start.

        All starts of all rows are one matrix product: the head is read from memory once.
        """
        import torch

        if not self._full_head:
            return [[None] * len(openings) for _ in range(rows)]
        total = self._head.log_partition(torch.cat(openings)).reshape(len(openings), rows)
        # One NaN anywhere in the head would otherwise read as "nothing lies off the schema".
        _check_finite(total)
        found: list[list[FirstTokens | None]] = [[] for _ in range(rows)]
        for slot, opening, partition in zip(self.plan.slots, openings, total, strict=True):
            allowed = list(slot.nodes[0].children)
            extra = [] if slot.unknown_token is None else [slot.unknown_token]
            logits = self._head.logits(opening, self._head.rows(allowed + extra))
            for row, values in enumerate((logits - partition[:, None]).tolist()):
                named: Mapping[int, float] = dict(zip(allowed + extra, values, strict=True))
                found[row].append(FirstTokens(named, slot.unknown_token))
        return found

    def _answer(
        self,
        walk: Walk,
        first_tokens: list[FirstTokens | None],
        history: list[tuple[Walk, list[FirstTokens | None]]],
    ) -> DecodedAnswer:
        slots = self.plan.slots
        literals = [walk.literal(i, slot) for i, slot in enumerate(slots)]
        text = self.answer.render(literals)
        tokens: list[int] = []
        log_probability = 0.0
        for i, slot in enumerate(slots):
            own, firsts = walk.tokens(i, slot), first_tokens[i]
            tokens += [*slot.lead, *own]
            log_probability += walk.log_probability(i, slot, first=firsts is None)
            log_probability += 0.0 if firsts is None else firsts.log_probabilities[own[0]]
        tokens += self.plan.tail
        if encode(self._tokenizer, [text])[0] != tokens:
            raise TokenizerMismatch(f"the tokenizer does not spell {text!r} as it was decoded")
        readings = tuple(
            read_slot(
                slot, literals[i], [w.choices[i] for w, _ in history], [f[i] for _, f in history]
            )
            for i, slot in enumerate(slots)
        )
        return DecodedAnswer(
            readings=readings,
            text=text,
            log_probability=log_probability,
            conditional=not self._full_head,
            conditioning=conditioning_name(self._marginal),
            tokens=tuple(tokens),
        )


def _check_finite(values: torch.Tensor) -> None:
    if not bool(values.isfinite().all()):
        raise LogitsNotFinite(
            "the model answers NaN or infinity; load it in bfloat16 or float32, never float16"
        )


def _ahead(slot: Slot) -> tuple[tuple[int, int], ...]:
    """Return the slot's nodes to read with its root as the tree of a `Piece`."""
    place = {node: index for index, node in enumerate(slot.ahead)}
    return tuple((slot.nodes[n].token, place.get(slot.nodes[n].parent, -1)) for n in slot.ahead)


def _at(hidden: torch.Tensor, places: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return [rows, places, hidden]: the hidden states at each row's own places."""
    import torch

    index = torch.tensor(places, device=hidden.device)
    return hidden.gather(1, index[..., None].expand(-1, -1, hidden.shape[-1]))
