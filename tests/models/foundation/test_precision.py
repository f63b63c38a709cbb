"""Numbers a Gemma 3 may run in, and bitsandbytes' traps on a CPU."""

from pathlib import Path

import pytest
import torch
from tiny_lora import adapted
from tiny_medgemma import TEXT, field, loaded

from immunopath.domain.errors import EngineSpecError, EngineUnavailable, PrecisionUnsupported
from immunopath.models.foundation.devices import has_bfloat16
from immunopath.models.foundation.medgemma.gemma import Gemma, encode
from immunopath.models.foundation.precision import (
    Precision,
    choose_precision,
)

NF4 = Precision("float32", "nf4")


def inputs(gemma: Gemma) -> dict[str, torch.Tensor]:
    prompt = encode(gemma, [field(90, 0)], TEXT)
    assert prompt.pixel_values is not None
    return {
        "input_ids": prompt.input_ids,
        "token_type_ids": prompt.token_type_ids,
        "pixel_values": prompt.pixel_values,
    }


@pytest.mark.parametrize("word", ["float16", "fp16", "half"])
def test_float16_is_refused_with_its_reason(word: str) -> None:
    with pytest.raises(PrecisionUnsupported, match="bfloat16 or float32"):
        choose_precision({"dtype": word}, "cpu")


@pytest.mark.parametrize(
    ("options", "device", "error", "match"),
    [
        ({"dtype": "int8"}, "cpu", EngineSpecError, "dtype=int8"),
        ({"quant": "int8"}, "cpu", EngineSpecError, "nf4 or none"),
        ({}, "graphics card", EngineSpecError, "is not a device"),
    ],
)
def test_wrong_words_are_named(
    options: dict[str, str], device: str, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        choose_precision(options, device)


def test_the_default_is_float32_on_a_cpu() -> None:
    assert choose_precision({}, "cpu") == Precision("float32")
    assert choose_precision({"dtype": "bfloat16", "quant": "nf4"}, "cpu") == Precision(
        "bfloat16", "nf4"
    )


def test_a_gpu_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EngineUnavailable, match="sees no CUDA GPU"):
        choose_precision({}, "cuda:0")


def test_a_gpu_without_bfloat16_is_refused_and_float32_is_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    assert not has_bfloat16("cuda:0")
    with pytest.raises(PrecisionUnsupported, match="dtype=float32"):
        choose_precision({}, "cuda:0")
    assert choose_precision({"dtype": "float32"}, "cuda:0") == Precision("float32")
    with pytest.raises(EngineUnavailable, match="there are 1 GPUs"):
        choose_precision({}, "cuda:3")


def test_nf4_packs_the_text_layers_and_nothing_else(base_folder: Path) -> None:
    import bitsandbytes as bnb

    model = loaded(base_folder, NF4).model
    packed = {n for n, m in model.named_modules() if isinstance(m, bnb.nn.Linear4bit)}
    assert len(packed) == 2 * 7
    assert all(name.startswith("model.language_model.layers.") for name in packed)
    layer = model.model.language_model.layers[0].mlp.up_proj
    assert layer.quant_state.nested  # double quantization
    assert layer.quant_state.quant_type == "nf4"
    assert type(model.lm_head) is torch.nn.Linear


def test_bf16_loads_and_answers(base_folder: Path) -> None:
    gemma = loaded(base_folder, Precision("bfloat16"))
    assert {p.dtype for p in gemma.model.parameters()} == {torch.bfloat16}
    with torch.inference_mode():
        assert bool(gemma.model(**inputs(gemma)).logits.isfinite().all())


def test_training_after_an_answer_keeps_its_gradient(base_folder: Path) -> None:
    """The trap: the first evaluation forward of a 4-bit layer repacks it on some CPUs."""
    gemma = loaded(base_folder, NF4)
    batch = inputs(gemma)
    tuned = adapted(gemma.model)
    with torch.inference_mode():
        before = tuned.eval()(**batch).logits.clone()
    tuned.train()
    loss = tuned(**batch).logits.float().logsumexp(-1).mean()
    loss.backward()
    grads = {n: p.grad for n, p in tuned.named_parameters() if "lora_B" in n}
    assert all(g is not None for g in grads.values())
    text = [g for n, g in grads.items() if "language_model" in n and g is not None]
    assert any(float(g.abs().max()) > 0 for g in text)
    with torch.inference_mode():
        after = tuned.eval()(**batch).logits
    assert torch.equal(before, after)
