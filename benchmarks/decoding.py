"""Slot decoding against the model card's snippet: one JSON object.

``python benchmarks/decoding.py --quick --json -`` prints five keys for the fixed quick shape (text
512 x 8 layers, vocabulary 262,208, vision 384 x 6 layers at 224 px, 16 image tokens, card prompt,
indented answer, full head at slot starts, float32, random weights): how many times faster per
patch than `generate` at batch 1 (98 = min = max new tokens) slot decoding is at batch 1 and 8;
whether its answers equal `generate` restricted to canonical answers (tiny shape; without
``--quick`` the measured one too; 8 ragged prompts and 1, three layouts, below and above the
sliding window); its forward passes for one
answer (the dearest kind, with both numbers to the third digit); and the share of vision tower and
prompt in its time at batch 8. Each side takes its best of 1 and 2 threads, median of 3.

Without ``--quick``: batch 32, the grammar (when llguidance is installed) with whether what it
wrote parses and fits the answer schema, peak memory, and the
ratio to expect at the 4B shape from measured parts (``--parts``). ``--full --device cuda`` runs
the full size in bfloat16 and NF4; ``--full --shape tiny --device cpu`` tests that path.
"""

import argparse
from typing import Any

import decoding_shapes as shapes
import decoding_sides as sides
import torch
from benchmark_json import write_figures
from decoding_check import checked

from immunopath.models.foundation.decoding.answer import LAYOUTS, AnswerFormat
from immunopath.models.foundation.decoding.decoder import SlotDecoder

THREADS = (1, 2)
REPEATS = 3


def compare(shape: shapes.Shape, batches: tuple[int, ...], more: bool) -> dict[str, Any]:
    """Measure a shape on the CPU; `more` adds the grammar and peak memory."""
    model, tok = shapes.build(shape, torch.float32, "cpu"), shapes.tokenizer()
    answer = AnswerFormat("indented")
    decoder = SlotDecoder(model, tok, answer)
    asked = shapes.prompts(shape, max(batches))
    sides.dearest(model, decoder, asked[0], tok)
    decoder.decode(asked[:1])
    passes = decoder.passes
    calls = {"card": sides.card(model, tok, asked[:1])}
    calls |= {f"slots_{n}": sides.slots(decoder, asked[:n]) for n in batches}
    grammar = sides.grammar(model, tok, asked[:1], answer) if more else None
    if grammar is not None:
        calls["grammar"] = grammar
    taken = sides.best_of_threads(calls, THREADS, REPEATS)
    found: dict[str, Any] = {
        f"ratio_batch_{n}": round(taken["card"] / (taken[f"slots_{n}"] / n), 2) for n in batches
    }
    found["equal_answers"] = equality(shape, None if not more else model)
    found["forward_passes"] = passes
    found["prefill_share"] = round(sides.prefill_share(calls["slots_8"], REPEATS), 3)
    if more:
        rates = {name: int(name.rpartition("_")[2]) for name in taken if name[:6] == "slots_"}
        rates |= {"card": 1, **({"grammar": 1} if grammar else {})}
        found["patches_per_second"] = {n: round(k / taken[n], 3) for n, k in rates.items()}
        found["peak_mb"] = {name: sides.peak_mb(call) for name, call in calls.items()}
        found["grammar"] = "run" if grammar else "not run: llguidance is not installed"
        if grammar is not None:
            found["grammar_output"] = checked(answer, sides.written(tok, asked[:1], grammar()))
        found["prompt_tokens"] = int(asked[0].input_ids.shape[1])
        found["answer_tokens"] = len(decoder.decode(asked[:1])[0].tokens)
    return found


def equality(shape: shapes.Shape, model: Any) -> bool:  # noqa: ANN401 - of transformers
    """Compare the answers of the tiny shape and, where given, of the measured model too."""
    tok, tiny = shapes.tokenizer(), shapes.build(shapes.TINY, torch.float32, "cpu")
    equal = sides.equal_answers(tiny, tok, shapes.TINY, LAYOUTS)
    return equal and (model is None or sides.equal_answers(model, tok, shape, LAYOUTS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-", help="file, or - for the terminal")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", action="store_true", help="measure parts of the 4B shape")
    parser.add_argument("--full", action="store_true", help="full size, bfloat16 and NF4")
    parser.add_argument("--compile", action="store_true", help="with --full: compiled layers alone")
    parser.add_argument("--shape", default="full", choices=sorted(shapes.SHAPES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batches", default="1,8,32")
    args = parser.parse_args()
    batches = tuple(int(n) for n in args.batches.split(","))
    if args.full:
        from decoding_full import measure

        shape = shapes.SHAPES[args.shape]
        found = measure(shape, args.device, batches, with_compile=args.compile)
    elif args.parts:
        from decoding_parts import expected

        found = expected(shapes.SHAPES[args.shape])
    else:
        asked = (1, 8) if args.quick else tuple(sorted({1, 8, *batches}))
        found = compare(shapes.QUICK, asked, more=not args.quick)
    write_figures(found, args.json)


if __name__ == "__main__":
    main()
