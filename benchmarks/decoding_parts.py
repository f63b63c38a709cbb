"""The ratio to expect at a shape too large to run here, from the parts that can be measured.

One vision layer, one text layer (over a prompt, over segments, over one token) and the output
head are timed at the shape's true width in bfloat16; times are multiplied by the number of layers.
What is left out on both sides: embeddings, norms at the ends, image processing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import decoding_shapes as shapes
import decoding_sides as sides
import torch

from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.head import OutputHead
from immunopath.models.foundation.decoding.segments import CachedRows, Piece
from immunopath.models.foundation.decoding.slots import AnswerPlan, plan_answer

REPEATS = 3


def segment_lengths(plan: AnswerPlan) -> list[int]:
    """Return the tokens fed per pass after the prompt for the dearest answer at batch 1.

    The last pass decides the last number's third digit; nothing is fed after it.
    """
    lengths, pending = [], 0
    for index, slot in enumerate(plan.slots):
        if index:
            lengths.append(pending + len(slot.lead) + len(slot.ahead))
        if slot.number:
            lengths.append(1)
        # What is decided and not read ahead: a number's third digit and the closing token.
        longest = 2 if slot.number else max(n.depth for n in slot.nodes)
        pending = longest
    return lengths


def median(call: Callable[[], Any]) -> float:
    call()
    return sorted(sides.seconds(call) for _ in range(REPEATS))[REPEATS // 2]


def expected(shape: shapes.Shape) -> dict[str, Any]:
    """Return the measured parts in seconds and the ratio expected at batch 1."""
    thin = replace(shape, layers=1, vision_layers=1)
    dtype = torch.bfloat16
    model, tok = shapes.build(thin, dtype, "cpu"), shapes.tokenizer()
    asked = shapes.prompts(shape, 1)[0]
    tokens = int(asked.input_ids.shape[1])
    plan = plan_answer(tok, AnswerFormat())
    lengths = segment_lengths(plan)
    head = OutputHead(model)
    text = model.model.language_model
    state = torch.randn(8, shape.hidden, dtype=dtype)
    with torch.inference_mode():
        assert asked.pixel_values is not None
        pixels = asked.pixel_values.to(dtype)
        prompt = Piece(tuple(range(20, 20 + tokens)))
        vision = median(lambda: model.model.vision_tower(pixel_values=pixels))
        prefill = median(lambda: CachedRows(text).extend([prompt]))
        rows = CachedRows(text)
        rows.extend([prompt])

        def fed(n: int) -> float:
            return median(lambda: rows.select([0]).extend([Piece(tuple(range(20, 20 + n)))]))

        step, segments = fed(1), {n: fed(n) for n in sorted(set(lengths))}
        one = median(lambda: model.lm_head(state[:1]))
        starts = median(lambda: head.log_partition(state))
    before = shape.vision_layers * vision + shape.layers * prefill
    card = before + (sides.ANSWER_TOKENS - 1) * (shape.layers * step + one)
    slots = before + shape.layers * sum(segments[n] for n in lengths) + starts
    return {
        "shape": vars(shape),
        "prompt_tokens": tokens,
        "segments": lengths,
        "seconds": {
            "vision_layer": vision, "text_layer_prompt": prefill, "text_layer_one_token": step,
            "text_layer_segments": segments, "head_one_token": one, "head_eight_starts": starts,
        },
        "expected_card_s": round(card, 2),
        "expected_slots_s": round(slots, 2),
        "expected_ratio_batch_1": round(card / slots, 2),
        "prefill_share": round(before / slots, 3),
    }  # fmt: skip
