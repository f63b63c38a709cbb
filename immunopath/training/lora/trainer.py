"""The training loop: transformers' `Trainer` with the loss per field, and states that survive.

A state counts only once everything in it is written: the last file to appear in it is `DONE`.
"""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import LogitsNotFinite
from immunopath.domain.files import write_text
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.hf_loading import transformers
from immunopath.models.foundation.medgemma.gemma import Gemma
from immunopath.training.lora.config import TrainConfig
from immunopath.training.lora.loss import field_sums, token_losses, weighted_sum

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


def make_trainer(model: Any, args: Any, feed: Feed, callbacks: list[Any]) -> Any:
    """Return the trainer; its class is made here because its base is heavy to import."""
    import torch

    base: Any = transformers().Trainer

    class FieldTrainer(base):  # type: ignore[misc]
        """Loss per field; rows in the order of the schedule; whole states only."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True
            self._fields = torch.zeros(2, len(COLUMNS), device=self.args.device)

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(train_dataset or self.train_dataset)

        def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> Any:
            total = sum(batch["total"].sum() for batch in batch_samples)
            return self.accelerator.gather(total.to(device)).sum()

        def compute_loss(
            self,
            model: Any,
            inputs: Mapping[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            losses = token_losses(model, inputs)
            self._fields += field_sums(losses, inputs, len(FIELDS))
            total = inputs["total"].sum() if num_items_in_batch is None else num_items_in_batch
            return weighted_sum(losses, inputs) / total * self.accelerator.num_processes

        def floating_point_ops(self, inputs: Any) -> int:
            """Not counted: it walks through all parameters at every step."""
            return 0

        def evaluate(
            self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
        ) -> dict[str, float]:
            """Return the loss on the validation rows, and per field; logged as the trainer does."""
            model = self.model.eval()
            weighted, total = 0.0, 0.0
            fields = torch.zeros_like(self._fields)
            for batch in self.get_eval_dataloader(eval_dataset):
                ready = self._prepare_inputs(batch)
                with torch.no_grad(), self.compute_loss_context_manager():
                    losses = token_losses(model, ready)
                weighted += float(weighted_sum(losses, ready))
                total += float(ready["total"].sum())
                fields += field_sums(losses, ready, len(FIELDS))
            found = {f"{metric_key_prefix}_loss": weighted / total}
            found |= {f"{metric_key_prefix}_{k}": v for k, v in per_field(fields).items()}
            super().log(dict(found))
            handler: Any = self.callback_handler
            self.control: Any = handler.on_evaluate(self.args, self.state, self.control, found)
            return found

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            """Add the fields' losses since the last row; raises `LogitsNotFinite` for NaN."""
            if "loss" in logs:
                logs |= per_field(self._fields)
                self._fields.zero_()
                _require_finite(logs, self.state.global_step)
            super().log(logs, start_time)

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            options = {"save_embedding_layers": False} if hasattr(self.model, "peft_config") else {}
            self.model.save_pretrained(output_dir, **options)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
                write_text(folder / DONE, f"{self.state.global_step}\n")

    return FieldTrainer(
        model=model,
        args=args,
        train_dataset=feed.train,
        eval_dataset=feed.val,
        data_collator=feed.collator,
        callbacks=callbacks,
    )


def per_field(sums: Any) -> dict[str, float]:
    """Return the mean negative log-likelihood (nats) per field of what `field_sums` added up."""
    values, counts = sums.tolist()
    return {
        f"{PREFIX}{name}": value / count
        for name, value, count in zip(COLUMNS, values, counts, strict=True)
        if count
    }


def _require_finite(logs: Mapping[str, Any], step: int) -> None:
    wrong = [k for k, v in logs.items() if isinstance(v, float) and not abs(v) < float("inf")]
    if wrong:
        raise LogitsNotFinite(
            f"step {step}: {wrong[0]} is not a finite number; lower optim.lr, or use dtype "
            "float32; the last whole state is kept"
        )
