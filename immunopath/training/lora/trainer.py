"""What a run tells transformers' `Trainer` (see `field_trainer`), and the states that survive it.

A state counts only once everything in it is written: the last file to appear in it is `DONE`.
"""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.hf_loading import transformers
from immunopath.models.foundation.medgemma.gemma import Gemma
from immunopath.training.lora.config import TrainConfig

DONE: Final = "complete"
FIELDS: Final = tuple(FIELD_VALUES)
COLUMNS: Final = (*FIELDS, "skeleton")
PREFIX: Final = "nll_"


def last_state(folder: Path) -> Path | None:
    """Return the newest whole state of a run, or None; half-written ones are removed."""
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / DONE).is_file():
            whole[step_of(path)] = path
        else:
            shutil.rmtree(path)
    return whole[max(whole)] if whole else None


def out_of_patience(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Return whether the last `patience` validations (0 = any number) did not beat the best.

    history: what the trainer logged, which is part of every state: a run that was killed knows.
    """
    losses = [float(row["eval_loss"]) for row in history if "eval_loss" in row]
    return bool(patience and losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def step_of(state: Path) -> int:
    """Return the step that a state was written at."""
    return int(state.name.rpartition("-")[2])


def arguments(config: TrainConfig, folder: Path, gemma: Gemma, *, validates: bool) -> Any:
    """Return transformers' `TrainingArguments` for a run; states go to `folder`."""
    run, cpu = config.run, gemma.device == "cpu"
    made = transformers().TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the schedule holds all epochs in one sequence
        logging_steps=run.log,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=run.every,
        save_total_limit=run.keep,
        bf16=gemma.precision.dtype == "bfloat16",
        use_cpu=cpu,
        seed=run.seed,
        data_seed=run.seed,
        dataloader_num_workers=run.workers,
        dataloader_pin_memory=not cpu,
        remove_unused_columns=False,
        label_names=[],
        report_to=[],
        disable_tqdm=True,
        **_optimizer(config),
        **(_validation(config) if validates else {"eval_strategy": "no"}),
    )
    if made.n_gpu > 1:
        made._n_gpu = 1  # or it would split every batch over all GPUs that it sees
    return made


def _optimizer(config: TrainConfig) -> dict[str, Any]:
    optim = config.optim
    constant = optim.schedule == "constant"
    return {
        "per_device_train_batch_size": optim.batch,
        "per_device_eval_batch_size": optim.batch,
        "gradient_accumulation_steps": optim.accumulation,
        "learning_rate": optim.lr,
        "lr_scheduler_type": "constant_with_warmup" if constant else optim.schedule,
        "warmup_steps": optim.warmup,  # below 1: a share of all steps
        "weight_decay": optim.weight_decay,
        "max_grad_norm": optim.max_grad_norm,
        "optim": "adamw_torch_fused",
    }


def _validation(config: TrainConfig) -> dict[str, Any]:
    return {
        "eval_strategy": "steps",
        "eval_steps": config.run.every,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "load_best_model_at_end": True,
    }


@dataclass(frozen=True)
class Feed:
    """Training rows in order, validation rows or None, and what makes batches of them."""

    train: Any
    val: Any | None
    collator: Callable[..., Mapping[str, Any]]
