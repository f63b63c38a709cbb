"""What a run writes while it trains: ``metrics.csv``, and a line of progress.

The table holds no time, so that a run that was killed and went on has the same bytes as one that
was not.
"""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

import csv
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import CaseFileError
from immunopath.models.foundation.hf_loading import transformers
from immunopath.training.lora.trainer import COLUMNS, PREFIX, out_of_patience
from immunopath.training.tables import write_csv

HEADER: Final = (
    "step", "epoch", "split", "loss", "learning_rate", "grad_norm", *(PREFIX + c for c in COLUMNS),
)  # fmt: skip
Notify = Callable[[str], None]


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table of metrics; raises `CaseFileError` for another file."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != HEADER:
            raise CaseFileError(f"{path}: is no table of training metrics")
        return list(reader)


class MetricsTable:
    """The rows of a run; `start` takes up those of an earlier part of the same run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, str]] = []

    def start(self, step: int) -> None:
        """Keep the rows up to a step (0 = none); what came after a state was lost with it."""
        before = read_metrics(self._path) if step and self._path.is_file() else []
        self._rows = [row for row in before if int(row["step"]) <= step]
        self._write()

    def add(self, step: int, epoch: float, logs: Mapping[str, Any]) -> None:
        """Add what the trainer logs; anything but training and validation losses is left out."""
        prefix = "eval_" if "eval_loss" in logs else ""
        if not prefix and "loss" not in logs:
            return
        row = {"step": str(step), "epoch": f"{epoch:.4f}", "split": "val" if prefix else "train"}
        for name in HEADER[3:]:
            value = logs.get(prefix + name)
            row[name] = "" if value is None else repr(float(value))
        self._rows.append(row)
        self._write()

    def _write(self) -> None:
        write_csv(self._path, HEADER, self._rows)


@dataclass(frozen=True)
class Pace:
    """Rows of an epoch and of a step; patience: see `out_of_patience`."""

    rows_per_epoch: int
    rows_per_step: int
    patience: int


def reporting_callback(table: MetricsTable, pace: Pace, notify: Notify) -> Any:
    """Return the callback that fills the table, says where the run stands, and may stop it."""
    base: Any = transformers().TrainerCallback

    class Reporting(base):  # type: ignore[misc]
        """Logs at every state too, so that the rows do not depend on where a run was cut."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            table.start(state.global_step)
            self._began, self._from = time.perf_counter(), state.global_step

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % args.save_steps == 0 or state.global_step == state.max_steps:
                control.should_log = True

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if out_of_patience(state.log_history, pace.patience):
                control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            epoch = state.global_step * pace.rows_per_step / pace.rows_per_epoch
            table.add(state.global_step, epoch, logs)
            done = state.global_step - self._from
            if "loss" in logs and done:
                seconds = (time.perf_counter() - self._began) / done
                left = (state.max_steps - state.global_step) * seconds
                notify(
                    f"step {state.global_step}/{state.max_steps}, epoch {epoch:.2f}, loss "
                    f"{logs['loss']:.4f}, {seconds:.2f} s a step, about {_span(left)} left"
                )
            elif "eval_loss" in logs:
                notify(f"step {state.global_step}: validation loss {logs['eval_loss']:.4f}")

    return Reporting()


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
