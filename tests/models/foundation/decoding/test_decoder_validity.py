"""Every answer is valid: JSON, the eight keys in order, allowed values, numbers of the language."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from decoder_cases import one_thread
from tiny_gemma import build_gemma3, load, randomise

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.decoding.answer import (
    LAYOUTS,
    AnswerFormat,
    Layout,
    number_literals,
)
from immunopath.models.foundation.decoding.decoder import EncodedPrompt, SlotDecoder

NUMBERS = set(number_literals())
SPELLING = {"indented": {"indent": 2}, "single_line": {}, "compact": {"separators": (",", ":")}}


@pytest.fixture(scope="module")
def gemma() -> tuple[Any, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return load(build_gemma3(Path(folder), layers=2))


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


def random_prompts(source: Random, n: int, vocabulary: int) -> list[EncodedPrompt]:
    """Return prompts of random tokens, most with one or two images of noise."""
    made = []
    for _ in range(n):
        images = source.choice((0, 1, 2))
        # 7, 8, 9: start, end and soft token of an image, after the five specials and two turns.
        ids = [2]
        for _ in range(images):
            ids += [7, *[9] * 4, 8]
        ids += [source.randrange(10, vocabulary) for _ in range(source.randrange(1, 40))]
        tokens = torch.tensor([ids])
        noise = torch.Generator().manual_seed(source.randrange(2**31))
        pixels = torch.randn(images, 3, 56, 56, generator=noise) if images else None
        made.append(EncodedPrompt(tokens, (tokens == 9).long(), pixels))
    return made


def check(text: str, layout: Layout) -> None:
    """Assert that a text is a valid answer, spelled as Python's json spells it."""
    answer = json.loads(text)
    assert json.dumps(answer, **SPELLING[layout]) == text  # type: ignore[arg-type]
    assert list(answer) == list(FIELD_VALUES)
    for key, allowed in FIELD_VALUES.items():
        if allowed is None:
            assert repr(answer[key]) in NUMBERS
        else:
            assert answer[key] in allowed


def run(gemma: tuple[Any, Any], seeds: Sequence[int], batch: int) -> int:
    model, processor = gemma
    names = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    assert [processor.tokenizer.convert_tokens_to_ids(name) for name in names] == [7, 8, 9]
    decoders = [SlotDecoder(model, processor.tokenizer, AnswerFormat(name)) for name in LAYOUTS]
    checked = 0
    for seed in seeds:
        randomise(model, seed, embedding_std=(0.05, 0.15, 0.5)[seed % 3])
        for layout, slots in zip(LAYOUTS, decoders, strict=True):
            prompts = random_prompts(Random(f"{seed}{layout}"), batch, len(processor.tokenizer))
            for answer in slots.decode(prompts):
                check(answer.text, layout)
                for reading in answer.readings:
                    assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-9)
                checked += 1
    return checked


def test_every_answer_is_valid(gemma: tuple[Any, Any]) -> None:
    assert run(gemma, range(2), batch=8) == 48


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_answers_are_valid(gemma: tuple[Any, Any]) -> None:
    """Random prompts and random weights; prints nothing, proves 1,008."""
    assert run(gemma, range(2, 44), batch=8) == 1008
