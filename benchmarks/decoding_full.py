"""The comparison on an accelerator: random weights at full size, in bfloat16 and in NF4.

Also prints the share of the measured bfloat16 matrix rate that the prompt pass reaches. The same
path runs in seconds with ``--shape tiny --device cpu``.
"""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import gc
import tempfile
from typing import Any

import decoding_shapes as shapes
import decoding_sides as sides
import torch

from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.decoder import SlotDecoder
from immunopath.models.torchvision_guard import guard_torchvision

REPEATS = 3
SQUARE = {"cuda": 8192, "cpu": 1024}


def rate(device: str) -> float:
    """Return the measured rate of a large bfloat16 matrix product, in floating operations/s."""
    n = SQUARE[torch.device(device).type]
    left = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    times = [sides.seconds(lambda: left @ left) for _ in range(8)]
    return 2.0 * n**3 / min(times[2:])


def quantized(model: Any, device: str) -> Any:
    """Return the model in NF4 with double quantization, by way of a saved checkpoint."""
    guard_torchvision()
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["model.vision_tower", "model.multi_modal_projector", "lm_head"],
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return AutoModelForImageTextToText.from_pretrained(
            folder, quantization_config=how, device_map=device, dtype=torch.bfloat16
        ).eval()


def one_precision(
    model: Any, shape: shapes.Shape, batches: tuple[int, ...], peak: float
) -> dict[str, Any]:
    """Return patches per second of every side, the ratios, and the prompt pass against `peak`."""
    tok = shapes.tokenizer()
    asked = shapes.prompts(shape, max(batches))
    decoder = SlotDecoder(model, tok, AnswerFormat())
    calls = {"card": sides.card(model, tok, asked[:1])}
    calls |= {f"slots_{n}": sides.slots(decoder, asked[:n]) for n in batches}
    largest = max(batches)
    memory: dict[str, float] = {}
    if model.device.type == "cuda":
        for name, call in calls.items():
            torch.cuda.reset_peak_memory_stats()
            call()
            memory[name] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    taken = sides.best_of_threads(calls, (torch.get_num_threads(),), REPEATS)
    with sides.prefill_clock() as clock:
        calls[f"slots_{largest}"]()
    tokens = int(asked[0].input_ids.shape[1])
    work = shape.flops_per_image + shape.flops_of_prompt(tokens)
    return {
        "prompt_tokens": tokens,
        "card_s": round(taken["card"], 4),
        "patches_per_second": {n: round(n / taken[f"slots_{n}"], 3) for n in batches},
        "ratio": {n: round(taken["card"] / (taken[f"slots_{n}"] / n), 2) for n in batches},
        "forward_passes": decoder.passes,
        "prefill_share": round(sides.prefill_share(calls[f"slots_{largest}"], REPEATS), 3),
        "tflop_per_patch": round(work / 1e12, 3),
        "prefill_of_measured_rate": round(work * largest / clock[0] / peak, 3),
        "peak_mb": memory,
    }


def measure(shape: shapes.Shape, device: str, batches: tuple[int, ...]) -> dict[str, Any]:
    """Return both precisions' figures and what they were measured on."""
    cuda = torch.device(device).type == "cuda"
    peak = rate(device)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "shape": vars(shape),
        "bf16_matmul_tflops": round(peak / 1e12, 2),
    }
    model = shapes.build(shape, torch.bfloat16, device)
    found["bf16"] = one_precision(model, shape, batches, peak)
    packed = quantized(model, device)
    del model
    gc.collect()
    found["nf4"] = one_precision(packed, shape, batches, peak)
    return found
