"""The output head: blocks, soft capping, LoRA around it and trained copies of it."""

import copy
from typing import Any

import pytest
import torch
from decoder_cases import decoder, gemma, one_thread, ragged

from immunopath.domain.errors import CheckpointClassError, TokenizerMismatch
from immunopath.models.foundation.decoding import head as head_module
from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.decoder import SlotDecoder
from immunopath.models.foundation.decoding.head import OutputHead


@pytest.fixture
def hidden() -> torch.Tensor:
    return torch.randn(5, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("block", [7, 100, 10**6])
def test_partition_in_blocks(
    hidden: torch.Tensor, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_module, "VOCABULARY_BLOCK", block)
    model, _ = gemma()
    with torch.inference_mode():
        expected = model.lm_head(hidden).logsumexp(dim=-1)
        assert torch.allclose(OutputHead(model).log_partition(hidden), expected, atol=1e-5)


def test_soft_capping_bounds_logits_and_partition(hidden: torch.Tensor) -> None:
    model, _ = gemma()
    text = model.config.get_text_config()
    text.final_logit_softcapping = 0.5
    try:
        head = OutputHead(model)
    finally:
        text.final_logit_softcapping = None
    with torch.inference_mode():
        logits = head.logits(hidden, head.rows([3, 300]))
        raw = model.lm_head(hidden)
        assert torch.allclose(logits, 0.5 * (raw[:, [3, 300]] / 0.5).tanh(), atol=1e-6)
        expected = (0.5 * (raw / 0.5).tanh()).logsumexp(dim=-1)
        assert torch.allclose(head.log_partition(hidden), expected, atol=1e-5)


def test_a_token_outside_the_head_is_refused() -> None:
    with pytest.raises(TokenizerMismatch, match="100000"):
        OutputHead(gemma()[0]).rows([100_000])


def lora(**options: Any) -> Any:
    """Return a copy of the tiny model with LoRA whose B is not zero."""
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], **options)
    wrapped = peft.get_peft_model(copy.deepcopy(gemma()[0]), settings).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.05)
    return wrapped


def test_lora_is_decoded_through_and_equals_itself_merged() -> None:
    tokenizer = gemma()[1].tokenizer
    wrapped = lora()
    with one_thread():
        through = SlotDecoder(wrapped, tokenizer, AnswerFormat()).decode(ragged(3))
        plain = decoder("indented", 48).decode(ragged(3))
        merged_model = wrapped.merge_and_unload()
        merged = SlotDecoder(merged_model, tokenizer, AnswerFormat()).decode(ragged(3))
    for one, other, base in zip(through, merged, plain, strict=True):
        assert one.tokens == other.tokens
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)
        assert one.log_probability != pytest.approx(base.log_probability, abs=1e-2)


def test_a_trained_copy_of_the_head_is_the_one_that_is_read(hidden: torch.Tensor) -> None:
    """What the published v2 adapter carries in modules_to_save."""
    wrapped = lora(modules_to_save=["lm_head"])
    copied = wrapped.get_base_model().lm_head.modules_to_save["default"].weight
    with torch.no_grad():
        copied.normal_(0, 1)
    with torch.inference_mode():
        head = OutputHead(wrapped)
        assert torch.allclose(head.logits(hidden, head.rows([5])), hidden @ copied[[5]].T)


def test_lora_on_the_head_is_refused() -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=4, target_modules=["lm_head"])
    wrapped = peft.get_peft_model(copy.deepcopy(gemma()[0]), settings)
    with pytest.raises(CheckpointClassError, match="merge"):
        OutputHead(wrapped)
