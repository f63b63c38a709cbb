"""The plan of an answer: every valid answer and nothing else, whatever the tokenizer merges."""

import itertools
import json
from random import Random
from typing import Any

import pytest
from tiny_gemma import BYTES, IMAGE, SPECIALS, TURNS, gemma_tokenizer, tokenizer

from immunopath.domain.errors import TokenizerMismatch
from immunopath.models.foundation.decoding.answer import LAYOUTS, AnswerFormat, Layout
from immunopath.models.foundation.decoding.slots import (
    AnswerPlan,
    Slot,
    encode,
    plan_answer,
)

TOKENS = tokenizer()


def spelled(*merges: tuple[str, str]) -> Any:
    """Return a tokenizer of single characters and the given merges, for awkward borders."""
    alphabet = [*map(chr, range(33, 127)), "▁", "\n"]
    pieces = [*SPECIALS, *TURNS, *IMAGE, *BYTES, *alphabet, *(a + b for a, b in merges)]
    return gemma_tokenizer({piece: i for i, piece in enumerate(pieces)}, merges)


def paths(slot: Slot) -> dict[str, list[int]]:
    """Return the tokens of every value of a slot, by literal."""
    found, stack = {}, [(0, [])]  # type: ignore[var-annotated]
    while stack:
        index, said = stack.pop()
        node = slot.nodes[index]
        if not node.children:
            (literal,) = node.literals
            found[literal] = said
        stack += [(child, [*said, token]) for token, child in node.children.items()]
    return found


def tokens_of(plan: AnswerPlan, literals: list[str]) -> list[int]:
    said: list[int] = []
    for slot, literal in zip(plan.slots, literals, strict=True):
        said += [*slot.lead, *paths(slot)[literal]]
    return [*said, *plan.tail]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_combination_is_canonical(layout: Layout) -> None:
    answer = AnswerFormat(layout)
    plan = plan_answer(TOKENS, answer)
    known = [paths(slot) for slot in plan.slots]
    assert [set(p) for p in known] == [set(answer.literals(key)) for key in answer.keys]
    source = Random(0)
    texts, built = [], []
    for _ in range(300):
        chosen = [source.choice(answer.literals(key)) for key in answer.keys]
        texts.append(answer.render(chosen))
        parts = [[*s.lead, *p[c]] for s, p, c in zip(plan.slots, known, chosen, strict=True)]
        built.append([*itertools.chain(*parts), *plan.tail])
    assert encode(TOKENS, texts) == built


def test_paths_are_prefix_free_where_one_value_begins_another() -> None:
    plan = plan_answer(TOKENS, AnswerFormat())
    tme, msi, til = plan.slots[2], plan.slots[1], plan.slots[3]
    text = {k: TOKENS.convert_ids_to_tokens(v) for k, v in paths(tme).items()}
    assert text['"IE"'] == ["IE", '",']
    assert text['"IE/F"'] == ["IE", "/", "F", '",']
    text = {k: TOKENS.convert_ids_to_tokens(v) for k, v in paths(msi).items()}
    assert text == {'"MSS"': ["MSS", '",'], '"MSI-H"': ["MS", "I", "-", "H", '",']}
    text = {k: TOKENS.convert_ids_to_tokens(v) for k, v in paths(til).items()}
    assert text["0.4"] == ["▁", "0", ".", "4", ","]
    assert text["0.305"] == ["▁", "0", ".", "3", "0", "5", ","]


def test_the_word_for_unknown_moves_a_slot_s_start() -> None:
    """A number is ``▁0`` and unknown is ``▁"``: both choices must be seen at one place."""
    for layout, first, unknown in (("indented", "▁", '▁"'), ("compact", '":', '":"')):
        slot = plan_answer(TOKENS, AnswerFormat(layout)).slots[3]  # type: ignore[arg-type]
        assert TOKENS.convert_ids_to_tokens(list(slot.nodes[0].children)) == [first]
        assert slot.unknown_token is not None
        assert TOKENS.convert_ids_to_tokens(slot.unknown_token) == unknown


def test_unknown_that_begins_like_a_value_cannot_be_told_apart() -> None:
    letters = spelled()
    answer = AnswerFormat(keys=("a",), values={"a": ("upper", "lower")})
    assert plan_answer(letters, answer).slots[0].unknown_token is None
    answer = AnswerFormat(keys=("a",), values={"a": ("high", "lower")})
    token = plan_answer(letters, answer).slots[0].unknown_token
    assert letters.convert_ids_to_tokens(token) == "u"


def test_a_number_looks_ahead_to_its_first_digits_only() -> None:
    slot = plan_answer(TOKENS, AnswerFormat()).slots[3]
    ahead = [
        (slot.nodes[i].prefix, TOKENS.convert_ids_to_tokens(slot.nodes[i].token))
        for i in slot.ahead
    ]
    assert ahead[:3] == [("", "▁"), ("0.", "0"), ("0.", ".")]
    assert ahead[3:] == [(f"0.{d}", str(d)) for d in range(10)]


@pytest.mark.parametrize(
    "merge",
    [('"', ","), ("h", '"'), ('"', "h"), ("W", '"'), ('"', "l"), ("F", '"'), ("0", ",")],
)
def test_a_merge_across_a_border_changes_nothing(merge: tuple[str, str]) -> None:
    """Whatever merges, decoded token by token the plan spells exactly the valid answers."""
    merging = spelled(merge)
    answer = AnswerFormat("compact", ("cd274_expression", "tme_subtype", "til_fraction"))
    plan = plan_answer(merging, answer)
    for chosen in itertools.product(*(answer.literals(key)[:40] for key in answer.keys)):
        text = answer.render(chosen)
        assert tokens_of(plan, list(chosen)) == encode(merging, [text])[0]


def test_a_merge_over_the_whole_gap_between_two_slots_is_refused() -> None:
    joined = spelled(
        ('"', ","), ('",', '"'), ('","', "b"), ('","b', '"'), ('","b"', ":"), ('","b":', '"')
    )
    answer = AnswerFormat("compact", ("a", "b"), {"a": ("x", "y"), "b": ("p", "q")})
    assert len(plan_answer(joined, answer).slots) == 2
    greedy = spelled(("x", '"'), ('x"', ","), ('x",', '"'), ('x","', "b"), ('x","b', '"'),
                     ('x","b"', ":"), ('x","b":', '"'))  # fmt: skip
    with pytest.raises(TokenizerMismatch, match="merges"):
        plan_answer(greedy, answer)


def test_numbers_must_be_spelled_digit_by_digit() -> None:
    pairs = spelled(("3", "7"))
    with pytest.raises(TokenizerMismatch, match="digit by digit"):
        plan_answer(pairs, AnswerFormat(keys=("til_fraction",)))


def test_two_decimals_and_other_orders() -> None:
    answer = AnswerFormat("single_line", ("immune_score", "msi_status"), decimals=2)
    plan = plan_answer(TOKENS, answer)
    assert set(paths(plan.slots[0])) == {json.dumps(i / 100) for i in range(101)}
    assert (
        tokens_of(plan, ["0.25", '"MSS"']) == encode(TOKENS, [answer.render(["0.25", '"MSS"'])])[0]
    )
