"""One QLoRA optimizer step with random weights: time, memory, trainable parameters.

NF4 with double quantization under bfloat16, LoRA on every linear layer, gradient checkpointing,
batch and image count of the preset ``run-v3.1``. ``--shape full`` is Gemma 3 4B (MedGemma 4B) and
wants a GPU; ``--shape tiny --device cpu`` is the same path in seconds. Random weights cost what
trained ones do; nothing is learned here.

    python benchmarks/qlora_step.py --shape full --device cuda --json -
"""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import argparse
import gc
import logging
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import decoding_full
import decoding_shapes as shapes
import tiny_gemma
import torch
from benchmark_json import write_figures

from immunopath.models.foundation.medgemma.prompts import V31_RUN
from immunopath.models.foundation.precision import keep_plain_cpu_path, quiet_bitsandbytes
from immunopath.training.lora.config import TrainConfig
from immunopath.training.lora.config_file import make_config
from immunopath.training.lora.loss import enable_checkpointing, token_losses, weighted_sum
from immunopath.training.lora.rows import AnswerEncoder, answer_format, collate, join
from immunopath.training.lora.run import tuned

TOKENS_LEARNED = 700
"""Size of the own tokenizer: with it a row has about the 851 tokens of the published run."""
LABELS = (
    {"cd274_expression": "low", "msi_status": "MSS", "tme_subtype": "D", "til_fraction": 0.294,
     "til_density": "low", "immune_phenotype": "desert", "cd8_infiltration": "low",
     "immune_score": 0.283},
    {"cd274_expression": "high", "msi_status": "MSI-H", "tme_subtype": "IE/F",
     "til_fraction": 0.722, "til_density": "high", "immune_phenotype": "inflamed",
     "cd8_infiltration": "high", "immune_score": 0.781},
)  # fmt: skip


def preset() -> TrainConfig:
    """Return the preset of the published run."""
    return make_config({"preset": "run-v3.1", "base": "random", "cohort": "none", "out": "none"})


def model_of(shape: shapes.Shape, device: str, config: TrainConfig) -> Any:
    """Return the packed model with fresh LoRA layers in float32, ready for training."""
    plain = shapes.build(shape, torch.bfloat16, device)
    packed = decoding_full.quantized(plain, device)
    del plain
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    keep_plain_cpu_path(packed)
    packed.requires_grad_(requires_grad=False)
    torch.manual_seed(0)
    model = tuned(packed, config.lora)
    enable_checkpointing(packed)
    return model.train()


def batch_of(shape: shapes.Shape, device: str, config: TrainConfig) -> dict[str, Any]:
    """Return one batch of the preset's rows with random images, on the device."""
    made = shapes.processor(shape)
    made.tokenizer = tiny_gemma.tokenizer(TOKENS_LEARNED, [V31_RUN.text] * 3)
    answers = AnswerEncoder(made.tokenizer, answer_format(config.data), config.loss)
    rows, pixels = [], []
    for i in range(config.optim.batch):
        seeds = range(config.data.images * i, config.data.images * (i + 1))
        images = [tiny_gemma.noise(seed, shape.image_size) for seed in seeds]
        asked = tiny_gemma.encode(made, V31_RUN.filled("lung adenocarcinoma"), images)
        ids, types = asked.input_ids[0].numpy(), asked.token_type_ids[0].numpy()
        rows.append(join(ids, types, answers.encode(LABELS[i % len(LABELS)])))
        pixels.append(asked.pixel_values.numpy())
    batch = collate(rows, pixels, int(made.tokenizer.pad_token_id))
    return {name: tensor.to(device) for name, tensor in batch.items()}


def step_of(
    model: Any, batch: dict[str, Any], config: TrainConfig, device: str
) -> Callable[[int], float]:
    """Return a function that makes one optimizer step of n passes and returns the loss."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        wanted, lr=config.optim.lr, weight_decay=config.optim.weight_decay, fused=True
    )
    kind = torch.device(device).type

    def step(passes: int) -> float:
        seen = 0.0
        for _ in range(passes):
            with torch.autocast(kind, torch.bfloat16):
                losses = token_losses(model, batch)
            loss = weighted_sum(losses, batch) / batch["total"].sum() / passes
            loss.backward()
            seen += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(wanted, config.optim.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        if kind == "cuda":
            torch.cuda.synchronize()
        return seen

    return step


def timed(call: Callable[[], float], repeats: int, warm: int) -> tuple[list[float], list[float]]:
    """Return seconds and losses of `repeats` calls after `warm` more."""
    times, losses = [], []
    for i in range(warm + repeats):
        began = time.perf_counter()
        loss = call()
        if i >= warm:
            times.append(time.perf_counter() - began)
        losses.append(loss)
    return times, losses


def measure(shape: shapes.Shape, device: str, repeats: int) -> dict[str, Any]:
    """Return the figures of one machine."""
    config = preset()
    cuda = torch.device(device).type == "cuda"
    began = time.perf_counter()
    model = model_of(shape, device, config)
    batch = batch_of(shape, device, config)
    prepared = time.perf_counter() - began
    step = step_of(model, batch, config, device)
    resting = torch.cuda.memory_allocated() if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times, losses = timed(lambda: step(1), repeats, warm=2)
    passes = config.optim.accumulation
    whole, more = timed(lambda: step(passes), 1, warm=0)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name()
        if cuda
        else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "preset": "run-v3.1",
        "shape": vars(shape),
        "batch": config.optim.batch,
        "images_per_row": config.data.images,
        "tokens_per_row": int(batch["input_ids"].shape[1]),
        "answer_tokens": int((batch["labels"][0] != -100).sum()),
        "trainable_parameters": trainable,
        "seconds_per_step": round(statistics.median(times), 4),
        "seconds_of_each": [round(t, 4) for t in times],
        "samples_per_second": round(config.optim.batch / statistics.median(times), 3),
        "accumulation_of_preset": passes,
        "seconds_per_preset_step": round(whole[0], 3),
        "losses": [round(loss, 4) for loss in (*losses, *more)],
        "seconds_to_prepare": round(prepared, 1),
    }
    return found | memory(resting)


def memory(resting: int) -> dict[str, float]:
    """Return the peak of memory in MB; resting: bytes on the GPU before the first step."""
    if torch.cuda.is_initialized():
        return {
            "resting_mb": round(resting / 2**20, 1),
            "peak_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1),
            "peak_reserved_mb": round(torch.cuda.max_memory_reserved() / 2**20, 1),
        }
    return {"peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shape", choices=("tiny", "full"), default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", default="-", metavar="PATH|-")
    chosen = parser.parse_args()
    quiet_bitsandbytes()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    write_figures(measure(shapes.SHAPES[chosen.shape], chosen.device, chosen.repeats), chosen.json)


if __name__ == "__main__":
    main()
