"""The record of a run: versions, digests, arguments, host and timings, in ``run.json``."""

import json
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import read_small, write_text
from immunopath.domain.packages import versions_of
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.medgemma.gemma import Gemma
from immunopath.models.foundation.weights import Weights
from immunopath.training.lora.cohort import Patient, TrainingCohort
from immunopath.training.lora.config import TrainConfig

FILE: Final = "run.json"
PACKAGES: Final = (
    "immunopath", "torch", "transformers", "peft", "accelerate", "bitsandbytes", "safetensors",
    "numpy", "pillow",
)  # fmt: skip


class Clock:
    """Seconds between the marks of a run."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Note the time since the last mark."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now


def versions() -> dict[str, str]:
    """Return the versions of what computes; a package that is not there is left out."""
    return {"python": platform.python_version()} | versions_of(*PACKAGES)


def check_same_run(config: TrainConfig, cohort: TrainingCohort, base: Weights) -> None:
    """Raise `CaseFileError` unless configuration, cohort and base are those of the run so far."""
    path = config.out / FILE
    data = read_small(path, "the manifest of a training run")
    try:
        before = json.loads(data)
        arguments = TrainConfig.model_validate(before["arguments"]).identity()
        digests, weights = before["cohort"]["digests"], before["base"]["digest"]
    except (KeyError, TypeError, ValueError) as error:
        raise CaseFileError(f"{path}: is no manifest of a training run") from error
    differs = [key for key, value in config.identity().items() if arguments[key] != value]
    if digests != cohort.tables:
        differs.append("the cohort's tables")
    if weights != base.digest:
        differs.append("the base weights")
    if differs:
        raise CaseFileError(
            f"{path}: the run to resume had another configuration ({', '.join(differs)}); resume "
            "it with the same, or name another out"
        )


def begin_manifest(
    config: TrainConfig, cohort: TrainingCohort, gemma: Gemma, part: Mapping[str, Any]
) -> None:
    """Write what is known before training; a run that goes on keeps its earlier parts.

    part: when this one started and from which step; one that was killed has no more than that.
    """
    path = config.out / FILE
    before: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    keys, base = config.data.keys, gemma.weights
    manifest = {
        "arguments": config.model_dump(mode="json"),
        "versions": versions(),
        "host": _host(gemma.device),
        "precision": str(gemma.precision),
        "base": {"source": config.base, "revision": base.revision, "digest": base.digest},
        "cohort": {
            "digests": dict(cohort.tables),
            "train": len(cohort.train),
            "val": len(cohort.val),
            "origins": dict(cohort.origins),
            "left_out": dict(cohort.left_out),
            "keys": list(cohort.keys),
            "keys_without_labels": list(cohort.unknown),
            "labels_train": label_counts(cohort.train, keys),
            "labels_val": label_counts(cohort.val, keys),
        },
        "parts": [*before.get("parts", []), part],
    }
    _write(path, manifest)


def end_manifest(
    config: TrainConfig, steps: int, best_step: int | None, val_loss: float | None, clock: Clock
) -> None:
    """Add what came out, and the timings of the part that has just ended."""
    path = config.out / FILE
    manifest = json.loads(path.read_text("utf-8"))
    manifest["parts"][-1] |= {"to_step": steps, "seconds": clock.seconds}
    manifest["result"] = {"steps": steps, "best_step": best_step, "val_loss": val_loss}
    _write(path, manifest)


def label_counts(patients: Sequence[Patient], keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return per field how many patients have each class, or a known number; unknown counted."""
    found: dict[str, dict[str, int]] = {}
    for key in keys:
        values = [p.sample.label(key) for p in patients]
        known = [v for v in values if v is not None]
        allowed = FIELD_VALUES[key]
        counted = Counter(known) if allowed else {"number": len(known)}
        table = {str(v): int(counted.get(v, 0)) for v in allowed or ("number",)}
        found[key] = table | {"unknown": len(values) - len(known)}
    return found


def _host(device: str) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _write(path: Path, manifest: dict[str, Any]) -> None:
    write_text(path, json.dumps(manifest, indent=2) + "\n")
