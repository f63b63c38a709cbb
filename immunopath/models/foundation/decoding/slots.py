"""The skeleton and the slots of an answer, on the canonical tokenization of the whole answer.

A byte-pair tokenizer merges across the border between skeleton and value (``":`` and ``","`` are
single tokens of Gemma's), so a slot cannot be tokenized on its own. Here every allowed value is
put into a whole answer, the whole answer is tokenized, and the slot is what then differs. The
paths of a slot end with the first token that all its values share again, which makes them
prefix-free (``IE`` against ``IE/F``, ``0.4`` against ``0.41``), and they form a trie.

Why values of different slots can be combined freely: a token sequence is the canonical output of a
byte-pair encoder exactly when every pair of neighbouring tokens is. At least one fixed token lies
between two slots, so every pair that a combination contains was seen while slots were measured
one by one. The decoder still re-encodes what it wrote, see `decoder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from immunopath.domain.errors import TokenizerMismatch
from immunopath.models.foundation.decoding.answer import AnswerFormat

TABLE_DECIMALS: Final = 2
"""The table of a number tells values apart up to this digit."""


@dataclass(frozen=True)
class Node:
    """A place in a slot: what was said so far and what may follow.

    token, parent, depth: the token that leads here, the node before (-1 at the root), 0 at the
    root; children: next token -> node index, by ascending token; literals: the values that can
    still be reached; a leaf has no children and one literal.
    """

    token: int
    parent: int
    depth: int
    children: Mapping[int, int]
    literals: tuple[str, ...]

    @cached_property
    def prefix(self) -> str:
        """The text that all values reachable from here begin with."""
        first, last = min(self.literals), max(self.literals)
        shared = 0
        while shared < min(len(first), len(last)) and first[shared] == last[shared]:
            shared += 1
        return first[:shared]


@dataclass(frozen=True)
class Slot:
    """One value of the answer.

    lead: the fixed tokens between the previous slot (or the prompt) and this one's first choice.
    nodes: the trie, root first, parents before children.
    ahead: nodes that are read in the same pass as the root, parents before children: all inner
        nodes of a category, those of a number down to the first digit after the point.
    unknown_token: the token with which the word for "not known" would begin, or None when it
        begins like an allowed value.
    """

    key: str
    number: bool
    lead: tuple[int, ...]
    nodes: tuple[Node, ...]
    ahead: tuple[int, ...]
    unknown_token: int | None


@dataclass(frozen=True)
class AnswerPlan:
    """The slots in answer order and the fixed tokens after the last one."""

    slots: tuple[Slot, ...]
    tail: tuple[int, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        """Every token that an answer can hold, ascending."""
        used = set(self.tail)
        for slot in self.slots:
            used.update(slot.lead)
            used.update(node.token for node in slot.nodes[1:])
        return tuple(sorted(used))


def plan_answer(tokenizer: Any, answer: AnswerFormat) -> AnswerPlan:  # noqa: ANN401
    """Return the slots of `answer` under `tokenizer` (a transformers tokenizer).

    Raises `TokenizerMismatch` when two slots have no fixed token between them, or when a number is
    not spelled digit by digit (then no table over digits can be read).
    """
    base = [answer.literals(key)[0] for key in answer.keys]
    reference = encode(tokenizer, [answer.render(base)])[0]
    spans = [_span(tokenizer, answer, base, i) for i in range(len(answer.keys))]
    slots: list[Slot] = []
    at = 0
    for key, span in zip(answer.keys, spans, strict=True):
        if span.start < at or span.end >= len(reference):
            raise TokenizerMismatch(
                f"the tokenizer merges {key!r} with the field beside it; "
                "use the tokenizer of the checkpoint or another answer layout"
            )
        slots.append(_slot(key, answer, tuple(reference[at : span.start]), span))
        at = span.end + 1
    return AnswerPlan(tuple(slots), tuple(reference[at:]))


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:  # noqa: ANN401
    """Return the token ids of each text, without special tokens."""
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [[int(token) for token in row] for row in rows]


@dataclass(frozen=True)
class _Span:
    """Where a slot lies in the base answer [start, end), and its paths, each with its closing
    token."""

    start: int
    end: int
    paths: dict[str, tuple[int, ...]]
    unknown_token: int | None


def _span(tokenizer: Any, answer: AnswerFormat, base: list[str], index: int) -> _Span:  # noqa: ANN401
    literals = answer.literals(answer.keys[index])
    texts = [
        answer.render([*base[:index], literal, *base[index + 1 :]])
        for literal in (*literals, answer.unknown_literal)
    ]
    *rows, unknown = encode(tokenizer, texts)
    start = _common([*rows, unknown])
    tail = min(_common([row[::-1] for row in rows]), min(len(row) for row in rows) - start)
    paths = {
        literal: tuple(row[start : len(row) - tail + 1])
        for literal, row in zip(literals, rows, strict=True)
    }
    firsts = {path[0] for path in paths.values() if path}
    begins = unknown[start] if start < len(unknown) else None
    return _Span(start, len(rows[0]) - tail, paths, None if begins in firsts else begins)


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all rows share."""
    shared = 0
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    return shared


def _slot(key: str, answer: AnswerFormat, lead: tuple[int, ...], span: _Span) -> Slot:
    nodes = _trie(span.paths)
    number = answer.is_number(key)
    if number:
        _check_digits(key, nodes)
    return Slot(key, number, lead, nodes, _ahead(nodes, number), span.unknown_token)


def _trie(paths: Mapping[str, tuple[int, ...]]) -> tuple[Node, ...]:
    tokens, parents, depths = [-1], [-1], [0]
    children: list[dict[int, int]] = [{}]
    reach: list[list[str]] = [[]]
    for literal, path in paths.items():
        at = 0
        reach[0].append(literal)
        for token in path:
            if token not in children[at]:
                children[at][token] = len(tokens)
                tokens.append(token)
                parents.append(at)
                depths.append(depths[at] + 1)
                children.append({})
                reach.append([])
            at = children[at][token]
            reach[at].append(literal)
    return tuple(
        Node(token, parent, depth, dict(sorted(kids.items())), tuple(literals))
        for token, parent, depth, kids, literals in zip(
            tokens, parents, depths, children, reach, strict=True
        )
    )


def _ahead(nodes: tuple[Node, ...], number: bool) -> tuple[int, ...]:
    """Return the nodes to read with the root: inner ones with a choice, and those before them."""
    wanted: set[int] = set()
    for index, node in enumerate(nodes[1:], start=1):
        if len(node.children) < 2 or (number and len(node.prefix) >= len("0.") + TABLE_DECIMALS):
            continue
        at = index
        while at > 0:
            wanted.add(at)
            at = nodes[at].parent
    return tuple(sorted(wanted))


def _check_digits(key: str, nodes: tuple[Node, ...]) -> None:
    """Raise `TokenizerMismatch` when one choice inside a number would settle two digits."""
    for node in nodes:
        if len(node.children) < 2:
            continue
        longest = max(len(node.prefix), len("0")) + 1
        for child in (nodes[index] for index in node.children.values()):
            if child.children and child.prefix != "1.0" and len(child.prefix) > longest:
                raise TokenizerMismatch(
                    f"the tokenizer does not spell the numbers of {key!r} digit by digit; "
                    "use the tokenizer of the checkpoint"
                )
