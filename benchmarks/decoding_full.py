"""The comparison on an accelerator: random weights at full size, in bfloat16 and in NF4.

Also prints the share of the measured bfloat16 matrix rate that the prompt pass reaches. What does
not fit into memory is written down as that, and the rest still measured; every figure also goes to
standard error as it comes. The same path runs in seconds with ``--shape tiny --device cpu``.
"""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import gc
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import decoding_shapes as shapes
import decoding_sides as sides
import torch

from immunopath.domain.errors import ImmunoPathError
from immunopath.models.foundation.batcher import out_of_memory
from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.decoder import SlotDecoder
from immunopath.models.foundation.hf_loading import transformers
from immunopath.models.foundation.medgemma.compiled import compile_layers
from immunopath.models.foundation.medgemma.gemma import ATTENTION
from immunopath.models.foundation.precision import (
    Precision,
    keep_plain_cpu_path,
    loading_options,
)

REPEATS = 3
SQUARE = {"cuda": 8192, "cpu": 1024}
OUT_OF_MEMORY = "out of memory"


def note(what: str, figure: object) -> None:
    """Say a figure at once: a run that is cut off keeps what it found."""
    print(f"{what}: {json.dumps(figure)}", file=sys.stderr, flush=True)


def fitting(call: Callable[[], Any]) -> tuple[bool, Any]:
    """Return (True, what a call returns), or (False, None) when memory ran out."""
    try:
        return True, call()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # The error has gone by now, and with it the frames that held the tensors.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False, None


def rate(device: str) -> float:
    """Return the measured rate of a large bfloat16 matrix product, in floating operations/s."""
    n = SQUARE[torch.device(device).type]
    left = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    times = [sides.seconds(lambda: left @ left) for _ in range(8)]
    return 2.0 * n**3 / min(times[2:])


def quantized(model: Any, device: str) -> Any:
    """Return the model in the product's NF4, by way of a saved checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        packed = transformers().AutoModelForImageTextToText.from_pretrained(
            folder,
            attn_implementation=ATTENTION,
            **loading_options(Precision("bfloat16", "nf4"), device),
        )
    keep_plain_cpu_path(packed)
    return packed.eval()


def warm(name: str, calls: dict[str, Callable[[], Any]], cuda: bool) -> dict[str, Any]:
    """Call every side once; drop from `calls` what does not fit. Returns peak memory in MB."""
    memory: dict[str, Any] = {}
    for side in list(calls):
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        if not fitting(calls[side])[0]:
            memory[side] = OUT_OF_MEMORY
            del calls[side]
        elif cuda:
            memory[side] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        if side in memory:
            note(f"{name} {side} peak_mb", memory[side])
    return memory


def timed(name: str, calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median seconds of every side; sides take turns. One that no longer fits is left.

    Without the turns a slow moment of the machine would meet one side only.
    """
    taken: dict[str, list[float]] = {side: [] for side in calls}
    for repeat in range(REPEATS):
        for side in list(taken):
            fits, spent = fitting(partial(sides.seconds, calls[side]))
            if not fits:
                del taken[side]
                note(f"{name} {side} repeat {repeat}", OUT_OF_MEMORY)
                continue
            taken[side].append(spent)
            note(f"{name} {side} repeat {repeat} seconds", round(spent, 4))
    return {side: statistics.median(values) for side, values in taken.items()}


def one_precision(  # noqa: PLR0913 - what is measured, and how
    name: str,
    model: Any,
    shape: shapes.Shape,
    batches: tuple[int, ...],
    peak: float,
    *,
    with_card: bool = True,
) -> dict[str, Any]:
    """Return patches per second of every side, the ratios, and the prompt pass against `peak`.

    `first_use_s`: of the first call of every side; with_card: measure the card's snippet too.
    """
    tok = shapes.tokenizer()
    asked = shapes.prompts(shape, max(batches))
    decoder = SlotDecoder(model, tok, AnswerFormat())
    calls = {"card": sides.card(model, tok, asked[:1])} if with_card else {}
    calls |= {f"slots_{n}": sides.slots(decoder, asked[:n]) for n in batches}
    began = perf_counter()
    memory = warm(name, calls, model.device.type == "cuda")
    first_use = perf_counter() - began
    taken = timed(name, calls)
    fit = [n for n in batches if f"slots_{n}" in taken]
    left = {n: OUT_OF_MEMORY for n in batches if n not in fit}
    found: dict[str, Any] = {
        "prompt_tokens": int(asked[0].input_ids.shape[1]),
        "first_use_s": round(first_use, 1),
        "patches_per_second": {n: round(n / taken[f"slots_{n}"], 3) for n in fit} | left,
        "peak_mb": memory,
    }
    if with_card:
        found["card_s"] = round(taken["card"], 4) if "card" in taken else OUT_OF_MEMORY
    if "card" in taken:
        ratios = {n: round(taken["card"] / (taken[f"slots_{n}"] / n), 2) for n in fit}
        found["ratio"] = ratios | left
    if fit:
        found |= prompt_pass(decoder, asked[: max(fit)], shape, peak)
    note(name, found)
    return found


def prompt_pass(
    decoder: SlotDecoder, asked: list[Any], shape: shapes.Shape, peak: float
) -> dict[str, Any]:
    """Return what vision tower and prompt take of a batch, and how much of `peak` they reach."""
    call = sides.slots(decoder, asked)
    with sides.prefill_clock() as clock:
        call()
    work = shape.flops_per_image + shape.flops_of_prompt(int(asked[0].input_ids.shape[1]))
    return {
        "forward_passes": decoder.passes,
        "prefill_batch": len(asked),
        "prefill_share": round(sides.prefill_share(call, REPEATS), 3),
        "tflop_per_patch": round(work / 1e12, 3),
        "prefill_of_measured_rate": round(work * len(asked) / clock[0] / peak, 3),
    }


def measure(
    shape: shapes.Shape, device: str, batches: tuple[int, ...], *, with_compile: bool = False
) -> dict[str, Any]:
    """Return both precisions' figures and what they were measured on.

    with_compile: instead of them, bfloat16 with compiled layers alone.
    """
    cuda = torch.device(device).type == "cuda"
    peak = rate(device)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "shape": vars(shape),
        "bf16_matmul_tflops": round(peak / 1e12, 2),
    }
    note("machine", found)
    fits, model = fitting(partial(shapes.build, shape, torch.bfloat16, device))
    if not fits:
        return found | {"bf16": OUT_OF_MEMORY, "nf4": "not run: made from the bfloat16 model"}
    if with_compile:
        # The engine's `compile=true`; compilers run at the first use.
        modules = {"modules": compile_layers(model)}
        own = one_precision("compiled", model, shape, batches, peak, with_card=False)
        return found | {"bf16_compiled": modules | own}
    found["bf16"] = one_precision("bf16", model, shape, batches, peak)
    try:
        fits, packed = fitting(partial(quantized, model, device))
        del model
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()
        found["nf4"] = one_precision("nf4", packed, shape, batches, peak) if fits else OUT_OF_MEMORY
    except (ImmunoPathError, RuntimeError, ValueError, ImportError) as error:
        # The bfloat16 figures cost minutes of a rented machine: they are printed all the same.
        found["nf4"] = f"failed: {type(error).__name__}: {error}"
    return found
