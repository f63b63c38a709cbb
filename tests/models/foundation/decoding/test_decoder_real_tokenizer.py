"""The slot decoder under the real Gemma 3 tokenizer; skipped with a reason where it is not."""

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from canonical_reference import VALUES, CanonicalAnswers, generate_canonical
from decoder_cases import WANTED, one_thread
from gemma_tokenizer import real_tokenizer
from steering import steer
from tiny_gemma import build_gemma3, load, noise, randomise
from tiny_gemma import encode as encode_prompt

from immunopath.models.foundation.decoding.answer import LAYOUTS, AnswerFormat, Layout
from immunopath.models.foundation.decoding.decoder import EncodedPrompt, SlotDecoder
from immunopath.models.foundation.decoding.slots import encode, plan_answer

LENGTHS = {"indented": 98, "single_line": 80, "compact": 65}
WINDOW = 64
PARTING = ("msi_status", "tme_subtype", "til_fraction")
SMALL: dict[str, int] = {
    "hidden": 64, "intermediate": 128, "layers": 3, "heads": 4, "kv_heads": 2, "window": WINDOW,
    "vocab_size": 262_208,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


@functools.cache
def gemma() -> tuple[Any, Any]:
    """Return (model, processor) with the real vocabulary of 262,208 and little else."""
    with tempfile.TemporaryDirectory() as folder:
        return load(build_gemma3(Path(folder), tok=real_tokenizer(), **SMALL))


@functools.cache
def ragged() -> tuple[EncodedPrompt, ...]:
    return tuple(
        encode_prompt(
            gemma()[1],
            "Describe the tissue. " * (1 + 2 * i),
            [noise(i + j) for j in range(1 + i % 2)],
        )
        for i in range(8)
    )


@functools.cache
def rule(layout: Layout) -> CanonicalAnswers:
    return CanonicalAnswers(real_tokenizer(), layout, tuple(VALUES))


@functools.cache
def slots(layout: Layout) -> SlotDecoder:
    return SlotDecoder(gemma()[0], real_tokenizer(), AnswerFormat(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_full_answer_has_the_observed_length(layout: Layout) -> None:
    answer = AnswerFormat(layout)
    wanted = ("low", "MSS", "D", 0.293, "low", "inflamed", "low", 0.283)
    text = answer.render([json.dumps(value) for value in wanted])
    assert len(encode(real_tokenizer(), [text])[0]) == LENGTHS[layout]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_borders_are_those_that_were_observed(layout: Layout) -> None:
    names = real_tokenizer().convert_ids_to_tokens
    plan = plan_answer(real_tokenizer(), AnswerFormat(layout))
    firsts = {slot.key: set(names(list(slot.nodes[0].children))) for slot in plan.slots}
    assert firsts["msi_status"] == {"MSS", "MS"}
    assert firsts["tme_subtype"] == {"IE", "F", "D"}
    assert firsts["immune_phenotype"] == {"infl", "excluded", "desert"}
    assert firsts["til_fraction"] == ({'":'} if layout == "compact" else {"▁"})
    opening = {"indented": '▁"', "single_line": '▁"', "compact": '":"'}
    assert names(plan.slots[1].lead[-1]) == opening[layout]
    unknown = {slot.key: slot.unknown_token for slot in plan.slots}
    assert names(unknown["msi_status"]) == "unknown"
    assert names(unknown["til_fraction"]) == opening[layout]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_combination_is_canonical(layout: Layout) -> None:
    answer = AnswerFormat(layout)
    plan = plan_answer(real_tokenizer(), answer)
    source = Random(1)
    built, texts = [], []
    for _ in range(200):
        tokens: list[int] = []
        literals = []
        for slot in plan.slots:
            tokens += slot.lead
            node = 0
            while children := slot.nodes[node].children:
                tokens.append(source.choice(list(children)))
                node = children[tokens[-1]]
            literals.append(slot.nodes[node].literals[0])
        built.append([*tokens, *plan.tail])
        texts.append(answer.render(literals))
    assert encode(real_tokenizer(), texts) == built


def test_the_chat_turn_does_not_merge_with_the_answer() -> None:
    for layout in LAYOUTS:
        text = AnswerFormat(layout).render([json.dumps(value) for value in WANTED[0]])
        turn, whole = encode(
            real_tokenizer(), ["<start_of_turn>model\n", f"<start_of_turn>model\n{text}"]
        )
        assert turn == [105, 4368, 107]
        assert whole == turn + encode(real_tokenizer(), [text])[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_greedy_path_equals_restricted_generate(layout: Layout) -> None:
    """Ragged batch of 8 with one and two images, on both sides of the window, and batch 1."""
    model, _ = gemma()
    text = model.config.get_text_config()
    for seed, window in ((5, WINDOW), (6, 4096)):
        randomise(model, seed)
        text.sliding_window = window
        try:
            batch = [list(a.tokens) for a in slots(layout).decode(ragged())]
            assert batch == generate_canonical(model, rule(layout), ragged())
            single = slots(layout).decode(ragged()[:1])[0]
            assert [list(single.tokens)] == generate_canonical(model, rule(layout), ragged()[:1])
        finally:
            text.sliding_window = WINDOW


@pytest.mark.parametrize("wanted", WANTED, ids=["IE", "IE/F", "D", "F"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_answers_that_part_late_are_reached_and_equal(
    layout: Layout, wanted: tuple[str | float, ...]
) -> None:
    """IE against IE/F, MSS against MSI-H, numbers of one, two and three digits."""
    model, _ = gemma()
    randomise(model, 4)
    prompt = ragged()[0]
    answer = AnswerFormat(layout, PARTING)
    text = answer.render([json.dumps(value) for value in wanted[1:4]])
    tokens = encode(real_tokenizer(), [text])[0]
    few = SlotDecoder(model, real_tokenizer(), answer)
    assert steer(model, prompt, tokens, lambda: few.decode([prompt])[0].tokens)
    assert few.decode([prompt])[0].text == text
    restricted = CanonicalAnswers(real_tokenizer(), layout, PARTING)
    assert [tokens] == generate_canonical(model, restricted, [prompt])
