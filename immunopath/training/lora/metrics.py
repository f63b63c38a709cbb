"""What a run writes while it trains: ``metrics.csv``.

The table holds no time, so that a run that was killed and went on has the same bytes as one that
was not.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import CaseFileError
from immunopath.training.lora.trainer import COLUMNS, PREFIX
from immunopath.training.tables import write_csv

HEADER: Final = (
    "step", "epoch", "split", "loss", "learning_rate", "grad_norm", *(PREFIX + c for c in COLUMNS),
)  # fmt: skip


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
