"""The sides of the decoding benchmark, each a call that answers a batch of prompts."""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import importlib.util
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import decoding_shapes as shapes
import torch
from canonical_reference import VALUES, CanonicalAnswers, generate_canonical, pad_left
from steering import steer

from immunopath.models.foundation.decoding import decoder as decoder_module
from immunopath.models.foundation.decoding.answer import AnswerFormat, Layout
from immunopath.models.foundation.decoding.decoder import EncodedPrompt, SlotDecoder
from immunopath.models.foundation.decoding.slots import encode

ANSWER_TOKENS = 98
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def on(device: torch.device, inputs: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    moved = {name: tensor.to(device) for name, tensor in inputs.items()}
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in moved.items()}


def card(model: Any, tok: Any, prompts: Sequence[EncodedPrompt]) -> Callable[[], Any]:
    """The model card's snippet: plain greedy `generate`, a full answer long and no longer."""
    inputs = on(model.device, pad_left(prompts, tok.pad_token_id), model.dtype)

    def run() -> Any:
        with torch.inference_mode():
            return model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=ANSWER_TOKENS,
                min_new_tokens=ANSWER_TOKENS,
                pad_token_id=tok.pad_token_id,
            )

    return run


def slots(decoder: SlotDecoder, prompts: Sequence[EncodedPrompt]) -> Callable[[], Any]:
    """Slot decoding, the full head at slot starts."""
    return lambda: decoder.decode(prompts)


@contextmanager
def prefill_clock() -> Iterator[list[float]]:
    """Collect the seconds that decoding spends on vision tower and prompt, call by call."""
    spent: list[float] = []
    original = decoder_module.prefill

    def timed(*args: Any) -> Any:
        out: list[Any] = []
        spent.append(seconds(lambda: out.append(original(*args))))
        return out[0]

    decoder_module.prefill = timed
    try:
        yield spent
    finally:
        decoder_module.prefill = original


def prefill_share(call: Callable[[], Any], repeats: int) -> float:
    """Return the share of vision tower and prompt in a decoding call, within the same calls."""
    with prefill_clock() as spent:
        total = sum(seconds(call) for _ in range(repeats))
    return sum(spent) / total


def grammar(
    model: Any, tok: Any, prompts: Sequence[EncodedPrompt], answer: AnswerFormat
) -> Callable[[], Any] | None:
    """`generate` under a JSON grammar, or None when llguidance is not installed."""
    if importlib.util.find_spec("llguidance") is None:
        return None
    from decoding_grammar import Grammar
    from transformers import LogitsProcessorList

    inputs = on(model.device, pad_left(prompts, tok.pad_token_id), model.dtype)
    width = inputs["input_ids"].shape[1]
    made = Grammar(tok, answer, model.config.get_text_config().vocab_size)

    def run() -> Any:
        rule = made.processor(width, len(prompts))
        with torch.inference_mode():
            return model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=2 * ANSWER_TOKENS,
                logits_processor=LogitsProcessorList([rule]),
                eos_token_id=made.stop,
                pad_token_id=tok.pad_token_id,
            )

    return run


def written(tok: Any, prompts: Sequence[EncodedPrompt], out: Any) -> list[str]:
    """Return what `generate` wrote behind left-padded prompts."""
    width = max(int(prompt.input_ids.shape[1]) for prompt in prompts)
    return [str(tok.decode(row[width:], skip_special_tokens=True)) for row in out]


def seconds(call: Callable[[], Any]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


def best_of_threads(
    sides: dict[str, Callable[[], Any]], threads: Sequence[int], repeats: int
) -> dict[str, float]:
    """Return, per side, the smaller over thread counts of the median over repeats, in seconds.

    Sides take turns within a repeat, so that a slow moment of the machine meets all of them.
    """
    best = dict.fromkeys(sides, float("inf"))
    for count in threads:
        torch.set_num_threads(count)
        taken: dict[str, list[float]] = {name: [] for name in sides}
        if count == threads[0]:
            for call in sides.values():
                call()
        for _ in range(repeats):
            for name, call in sides.items():
                taken[name].append(seconds(call))
        for name, values in taken.items():
            best[name] = min(best[name], statistics.median(values))
    return best


AIM = ("low", "MSI-H", "IE/F", 0.305, "low", "inflamed", "low", 0.283)


def dearest(model: Any, decoder: SlotDecoder, prompt: EncodedPrompt, tok: Any) -> None:
    """Move rows of the random weights until both numbers go to their third digit.

    That answer needs every pass; others need up to two fewer. See `steering`; `AIM` only says in
    which direction rows are moved.
    """
    text = decoder.answer.render([json.dumps(value) for value in AIM])

    def answered() -> list[int]:
        answer = decoder.decode([prompt])[0]
        numbers = [r.greedy for r in answer.readings if r.interval is not None]
        done = all(len(number) == len("0.123") for number in numbers)
        return aim if done else list(answer.tokens)

    aim = encode(tok, [text])[0]
    if not steer(model, prompt, aim, answered):
        raise SystemExit("the weights could not be steered to an answer of every pass")


BELOW, ABOVE = 4096, 48
"""Sliding windows that no prompt with its answer fills, and that every one outgrows."""


def asked_for_equality(shape: shapes.Shape) -> list[EncodedPrompt]:
    """Return eight prompts of five lengths, two of them with two images."""
    return [
        *shapes.prompts(shape, 2, "Describe."),
        *shapes.prompts(shape, 2, "Describe the tissue of this patch. " * 3, 2),
        *shapes.prompts(shape, 1, "What is there to see? " * 2),
        *shapes.prompts(shape, 1, "Describe the tissue of this patch. " * 4),
        *shapes.prompts(shape, 2),
    ]


def equal_answers(model: Any, tok: Any, shape: shapes.Shape, layouts: Sequence[Layout]) -> bool:
    """Return whether slot decoding equals `generate` restricted to canonical answers.

    Float32, token for token: every layout below and above the sliding window, each with a ragged
    batch of eight prompts and with one of them alone (another one each time).
    """
    text = model.config.get_text_config()
    asked, window, equal = asked_for_equality(shape), text.sliding_window, True
    cases = [(layout, width) for layout in layouts for width in (BELOW, ABOVE)]
    try:
        for n, (layout, text.sliding_window) in enumerate(cases):
            rule = CanonicalAnswers(tok, layout, tuple(VALUES))
            decoder = SlotDecoder(model, tok, AnswerFormat(layout))
            for batch in (asked, [asked[(n + 2) % len(asked)]]):
                said = [list(answer.tokens) for answer in decoder.decode(batch)]
                equal &= said == generate_canonical(model, rule, batch)
    finally:
        text.sliding_window = window
    return equal


def peak_mb(call: Callable[[], Any]) -> float | None:
    """Return the highest resident memory of this process during a call, in MB (Linux only)."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    call()
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)
