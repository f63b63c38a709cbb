"""Compiled layers answer as plain ones do."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from decoder_cases import gemma, one_thread, ragged
from tiny_gemma import randomise

from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.decoder import SlotDecoder
from immunopath.models.foundation.medgemma.compiled import compile_layers


def answers(model: Any, tokenizer: Any) -> list[tuple[str, float]]:
    decoder = SlotDecoder(model, tokenizer, AnswerFormat())
    with one_thread():
        return [(a.text, a.log_probability) for a in decoder.decode(ragged(3))]


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=[pytest.mark.slow])])
def test_answers_are_those_of_the_plain_model(backend: str) -> None:
    shared, processor = gemma()
    plain = deepcopy(shared)
    randomise(plain, 5)
    expected = answers(plain, processor.tokenizer)
    layers = plain.config.get_text_config().num_hidden_layers
    towers = plain.config.vision_config.num_hidden_layers
    try:
        assert compile_layers(plain, backend) == towers + 5 * layers
        found = answers(plain, processor.tokenizer)
    finally:
        torch._dynamo.reset()
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [p for _, p in found] == pytest.approx([p for _, p in expected], abs=1e-4)


def test_an_mlp_that_is_no_plain_matrix_is_left_alone() -> None:
    shared, _ = gemma()
    model = deepcopy(shared)

    class Packed(torch.nn.Linear):
        pass

    for layer in model.model.language_model.layers:
        layer.mlp.up_proj.__class__ = Packed
    layers = model.config.get_text_config().num_hidden_layers
    towers = model.config.vision_config.num_hidden_layers
    assert compile_layers(model, "eager") == towers + 4 * layers
