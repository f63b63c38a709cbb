"""Run in a process of its own: the memory of slot decoding on the quick shape.

Prints one JSON object: bytes measured above the imported libraries (a decode of a tiny model runs
first, so that every import and thread pool is in the baseline), and bytes estimated.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "benchmarks"))

import decoding_shapes as shapes  # noqa: E402
import torch  # noqa: E402

from immunopath.models.foundation.decoding.answer import AnswerFormat  # noqa: E402
from immunopath.models.foundation.decoding.decoder import SlotDecoder  # noqa: E402
from immunopath.models.foundation.medgemma.memory import estimate  # noqa: E402

CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def status(field: str) -> int:
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) * 1024


def main(batch: int) -> None:
    tok = shapes.tokenizer()
    tiny = shapes.build(shapes.TINY, torch.float32, "cpu")
    SlotDecoder(tiny, tok, AnswerFormat()).decode(shapes.prompts(shapes.TINY, 2))
    asked = shapes.prompts(shapes.QUICK, batch)
    baseline = status("VmRSS")
    model = shapes.build(shapes.QUICK, torch.float32, "cpu")
    # Random weights are made with a head of their own before it is tied, which loading from a
    # folder never does: the peak counts from here.
    CLEAR.write_text("5")
    SlotDecoder(model, tok, AnswerFormat()).decode(asked)
    guess = estimate(model.config, batch=batch, prompt_tokens=int(asked[0].input_ids.shape[1]))
    parts = {"weights": guess.weights, "kv_cache": guess.kv_cache, "activations": guess.activations}
    measured = status("VmHWM") - baseline
    sys.stdout.write(json.dumps({"measured": measured, "estimated": guess.total, **parts}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
