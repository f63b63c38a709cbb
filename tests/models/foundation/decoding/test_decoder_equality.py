"""The token-greedy path equals `generate` restricted to canonical answers, token for token."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from canonical_reference import VALUES, CanonicalAnswers, generate_canonical
from decoder_cases import WANTED, WINDOWS, decoder, gemma, one_thread, ragged
from steering import steer
from tiny_gemma import randomise

from immunopath.models.foundation.decoding.answer import LAYOUTS, Layout
from immunopath.models.foundation.decoding.slots import encode

SEEDS = {"below": 5, "above": 3}
MORE_SEEDS = tuple(range(6, 18))


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


@functools.cache
def rule(layout: Layout) -> CanonicalAnswers:
    """Return the reference's rule; sharing it shares its tokenized answers."""
    return CanonicalAnswers(gemma()[1].tokenizer, layout, tuple(VALUES))


def check(layout: Layout, window: int, seed: int) -> list[dict[str, Any]]:
    """Assert equality in a ragged batch of 8 and at batch 1; returns the answers."""
    model, _ = gemma(window)
    randomise(model, seed)
    slots = decoder(layout, window)
    reference = generate_canonical(model, rule(layout), ragged())
    answers = slots.decode(ragged())
    assert [list(answer.tokens) for answer in answers] == reference
    single = [ragged()[1]]
    alone = slots.decode(single)[0]
    assert [list(alone.tokens)] == generate_canonical(model, rule(layout), single)
    assert alone.log_probability == pytest.approx(answers[1].log_probability, abs=1e-4)
    return [json.loads(answer.text) for answer in answers]


@pytest.mark.parametrize("side", WINDOWS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_greedy_path_equals_restricted_generate(layout: Layout, side: str) -> None:
    check(layout, WINDOWS[side], SEEDS[side])


def test_the_cases_lie_on_both_sides_of_the_window_and_are_ragged() -> None:
    lengths = [prompt.input_ids.shape[1] for prompt in ragged()]
    images = [len(prompt.pixel_values) for prompt in ragged() if prompt.pixel_values is not None]
    assert len(set(lengths)) >= 6
    assert sorted(set(images)) == [1, 2]
    assert max(lengths) + 110 < WINDOWS["below"]
    assert min(lengths) + 50 > WINDOWS["above"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_greedy_path_over_many_weights(layout: Layout) -> None:
    """And the answers met hold what parts late: IE and IE/F, MSS and MSI-H, three decimals."""
    met = [a for seed in MORE_SEEDS for a in check(layout, WINDOWS["above"], seed)]
    assert {answer["msi_status"] for answer in met} == {"MSS", "MSI-H"}
    assert {"IE", "IE/F"} & {answer["tme_subtype"] for answer in met}
    assert any(len(repr(answer["til_fraction"])) == 5 for answer in met)


@pytest.mark.parametrize("wanted", WANTED, ids=["IE", "IE/F", "D", "F"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_answers_that_part_late_are_reached_and_equal(
    layout: Layout, wanted: tuple[str | float, ...]
) -> None:
    window = WINDOWS["above"]
    model, processor = gemma(window)
    randomise(model, 4)
    slots = decoder(layout, window)
    text = slots.answer.render([json.dumps(value) for value in wanted])
    prompt = ragged()[0]
    tokens = encode(processor.tokenizer, [text])[0]
    assert steer(model, prompt, tokens, lambda: slots.decode([prompt])[0].tokens)
    answer = slots.decode([prompt])[0]
    assert answer.text == text
    assert [list(answer.tokens)] == generate_canonical(model, rule(layout), [prompt])
    assert [reading.greedy for reading in answer.readings] == [str(value) for value in wanted]
