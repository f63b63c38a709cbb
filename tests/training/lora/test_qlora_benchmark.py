"""The QLoRA benchmark measures the path it names: packed weights, batch and images of the run."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

pytest.importorskip("bitsandbytes")


def test_one_step_trains_lora_on_packed_weights() -> None:
    import decoding_shapes as shapes
    import qlora_step

    config = qlora_step.preset()
    batch = qlora_step.batch_of(shapes.TINY, "cpu", config)
    assert tuple(batch["pixel_values"].shape) == (4, 3, 56, 56)
    assert batch["input_ids"].shape[0] == config.optim.batch == 2
    model: Any = qlora_step.model_of(shapes.TINY, "cpu", config)
    packed = [m for m in model.modules() if type(m).__name__ == "Linear4bit"]
    assert packed
    wanted = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in wanted)
    before = {name: p.detach().clone() for name, p in wanted.items()}
    step = qlora_step.step_of(model, batch, config, "cpu")
    first, second = step(1), step(1)
    assert second < first
    moved = [name for name, p in wanted.items() if not p.detach().equal(before[name])]
    assert {name for name in wanted if "lora_B" in name} <= set(moved)
