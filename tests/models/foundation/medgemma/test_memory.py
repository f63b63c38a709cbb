"""Memory: byte counts exact on the meta device, the estimate against a measured process."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tiny_gemma import build_gemma3, config, load, tokenizer

from immunopath.models.foundation.medgemma.memory import (
    ANSWER_CACHE_TOKENS,
    FLOAT32,
    estimate,
    kv_bytes,
    nf4_bytes,
    parameter_count,
    weight_bytes,
)
from immunopath.models.foundation.precision import Precision, loading_options

HERE = Path(__file__).parents[1]
BF16, NF4 = Precision("bfloat16"), Precision("bfloat16", "nf4")
MEDGEMMA: dict[str, int] = {
    "hidden": 2560, "intermediate": 10240, "layers": 34, "heads": 8, "kv_heads": 4,
    "head_dim": 256, "window": 1024, "pattern": 6, "vocab_size": 262_208, "vision_hidden": 1152,
    "vision_intermediate": 4304, "vision_layers": 27, "vision_heads": 16, "image_size": 896,
    "mm_tokens": 256,
}  # fmt: skip


@pytest.fixture(scope="module")
def medgemma() -> Any:
    return config(tokenizer(), **MEDGEMMA)


@pytest.fixture(scope="module")
def tiny() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return load(build_gemma3(Path(folder)))[0]


def test_full_size_weights_are_counted_to_the_byte(medgemma: Any) -> None:
    assert parameter_count(medgemma) == 4_300_079_472
    assert weight_bytes(medgemma, BF16) == 2 * 4_300_079_472
    assert weight_bytes(medgemma, FLOAT32) == 4 * 4_300_079_472


def test_weights_are_those_of_a_loaded_model(tiny: Any) -> None:
    held = sum(p.numel() * p.element_size() for p in tiny.parameters())
    assert weight_bytes(tiny.config, FLOAT32) == held


def test_nf4_weights_are_those_of_a_quantized_model() -> None:
    pytest.importorskip("bitsandbytes")
    packed = Precision("float32", "nf4")
    with tempfile.TemporaryDirectory() as folder:
        model, _ = load(build_gemma3(Path(folder)), **loading_options(packed, "cpu"))
    held = 0
    for parameter in model.parameters():
        held += parameter.numel() * parameter.element_size()
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            tensors = [
                state.absmax,
                state.code,
                state.offset,
                state.state2.absmax,
                state.state2.code,
            ]
            held += sum(t.numel() * t.element_size() for t in tensors)
    assert weight_bytes(model.config, packed) == held


def test_nf4_of_the_full_size_is_a_third(medgemma: Any) -> None:
    text_linears = 34 * (2560 * (2048 * 2 + 1024 * 2) + 3 * 2560 * 10240)
    rest = 4_300_079_472 - text_linears
    found = weight_bytes(medgemma, NF4)
    assert found == pytest.approx(2 * rest + text_linears * (0.5 + 1 / 64 + 4 / 64 / 256), rel=1e-4)
    assert nf4_bytes(64 * 256) == 64 * 128 + 256 + 4 * (1 + 16 + 256 + 1)


def test_the_cache_is_exact(tiny: Any) -> None:
    import torch
    from transformers import DynamicCache

    cache = DynamicCache()
    with torch.inference_mode():
        tiny(
            input_ids=torch.ones(3, 50, dtype=torch.long),
            attention_mask=torch.ones(3, 50, dtype=torch.long),
            token_type_ids=torch.zeros(3, 50, dtype=torch.long),
            past_key_values=cache,
        )
    held = sum(
        t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values)
    )
    assert kv_bytes(tiny.config, rows=3, tokens=50, bytes_per_number=4) == held


def test_the_cached_answer_fits_its_allowance() -> None:
    """Against what a batch really caches behind its prompts."""
    from decoder_cases import decoder, one_thread, ragged

    from immunopath.models.foundation.decoding import segments

    lengths = []
    original = segments.CachedRows.feed

    def noting(self: Any, *args: Any) -> Any:
        out = original(self, *args)
        lengths.append(self._alive.shape[1])
        return out

    patch = pytest.MonkeyPatch()
    patch.setattr(segments.CachedRows, "feed", noting)
    try:
        with one_thread():
            decoder("indented", 48).decode(ragged())
    finally:
        patch.undo()
    longest = max(prompt.input_ids.shape[1] for prompt in ragged())
    assert 98 < max(lengths) - longest <= ANSWER_CACHE_TOKENS


def test_more_rows_and_longer_prompts_need_more(medgemma: Any) -> None:
    one = estimate(medgemma, BF16, batch=1, prompt_tokens=450)
    eight = estimate(medgemma, BF16, batch=8, prompt_tokens=450)
    longer = estimate(medgemma, BF16, batch=8, prompt_tokens=900, images=2)
    assert one.weights == eight.weights
    assert eight.kv_cache == 8 * one.kv_cache
    assert one.total < eight.total < longer.total
    packed = estimate(medgemma, NF4, batch=1, prompt_tokens=450)
    assert packed.total < one.total


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("batch", [1, 8])
def test_the_estimate_is_within_15_percent_of_a_measured_process(batch: int) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "measure_memory.py"), str(batch)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["estimated"] == pytest.approx(found["measured"], rel=0.15), found
