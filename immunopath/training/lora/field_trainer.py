"""transformers' `Trainer` with the loss per field. Imports torch and transformers: only a run that
is about to train imports it.
"""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from immunopath.domain.errors import LogitsNotFinite
from immunopath.domain.files import write_text
from immunopath.models.foundation.hf_loading import transformers
from immunopath.training.lora.loss import field_sums, token_losses, weighted_sum
from immunopath.training.lora.metrics import MetricsTable
from immunopath.training.lora.trainer import COLUMNS, DONE, FIELDS, PREFIX, out_of_patience

Notify = Callable[[str], None]
_Trainer: Any = transformers().Trainer
_Callback: Any = transformers().TrainerCallback


class FieldTrainer(_Trainer):  # type: ignore[misc]
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
        """Return the weighted loss of a batch; adds its fields' losses to those of the log."""
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
        found |= {f"{metric_key_prefix}_{k}": v for k, v in _per_field(fields).items()}
        super().log(dict(found))
        handler: Any = self.callback_handler
        self.control: Any = handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the fields' losses since the last row; raises `LogitsNotFinite` for NaN."""
        if "loss" in logs:
            logs |= _per_field(self._fields)
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


@dataclass(frozen=True)
class Pace:
    """Rows of an epoch and of a step; patience: see `out_of_patience`."""

    rows_per_epoch: int
    rows_per_step: int
    patience: int


class Reporting(_Callback):  # type: ignore[misc]
    """Fills the table, says where the run stands, and stops it when patience has run out.

    Logs at every state too, so that the rows do not depend on where a run was cut.
    """

    def __init__(self, table: MetricsTable, pace: Pace, notify: Notify) -> None:
        self._table, self._pace, self._notify = table, pace, notify

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the rows of an earlier part of the run."""
        self._table.start(state.global_step)
        self._began, self._from = time.perf_counter(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a row at every state and at the end."""
        if state.global_step % args.save_steps == 0 or state.global_step == state.max_steps:
            control.should_log = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop when patience has run out."""
        if out_of_patience(state.log_history, self._pace.patience):
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Add the row, and say where the run stands."""
        epoch = state.global_step * self._pace.rows_per_step / self._pace.rows_per_epoch
        self._table.add(state.global_step, epoch, logs)
        done = state.global_step - self._from
        if "loss" in logs and done:
            seconds = (time.perf_counter() - self._began) / done
            left = (state.max_steps - state.global_step) * seconds
            self._notify(
                f"step {state.global_step}/{state.max_steps}, epoch {epoch:.2f}, loss "
                f"{logs['loss']:.4f}, {seconds:.2f} s a step, about {_span(left)} left"
            )
        elif "eval_loss" in logs:
            self._notify(f"step {state.global_step}: validation loss {logs['eval_loss']:.4f}")


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _per_field(sums: Any) -> dict[str, float]:
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
