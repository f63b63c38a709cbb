"""A run that is killed goes on as if nothing had happened."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lora_cohort import tiny_config

from immunopath.domain.errors import CaseFileError, OutputError
from immunopath.training.lora.run import train
from immunopath.training.lora.trainer import DONE, last_state

CHANGES = {
    "lora": {"dropout": 0.1},  # random numbers of torch, beside those of the schedule
    "data": {"augment": {"geometric": True, "stain": 0.05, "light": 0.02}},
    "run": {"every": 4, "log": 3, "patience": 5},
    "optim": {"epochs": 4, "accumulation": 2, "batch": 2, "schedule": "cosine", "lr": 0.01},
}
KILLED = """
import os, signal, sys
from immunopath.models.torchvision_guard import guard_torchvision
guard_torchvision()
import torch
torch.set_num_threads(1)
from immunopath.training.lora.config import TrainConfig
from immunopath.training.lora.run import train

def stop(line):
    if line.startswith("step 9/"):
        os.kill(os.getpid(), signal.SIGKILL)

train(TrainConfig.model_validate_json(sys.argv[1]), notify=stop)
"""


def test_a_killed_run_has_the_curve_and_weights_of_one_that_was_not(
    base: Path, cohort: Path, tmp_path: Path
) -> None:
    whole = train(tiny_config(base, cohort, tmp_path / "whole", **CHANGES))
    config = tiny_config(base, cohort, tmp_path / "cut", **CHANGES)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, config.model_dump_json()], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (config.out / "checkpoint").exists()
    state = last_state(config.out / "states")
    assert state is not None
    assert state.name == "checkpoint-8"

    lines: list[str] = []
    resumed = train(config, resume=True, notify=lines.append)
    assert lines[1].startswith("step 9/12")
    assert resumed.metrics.read_bytes() == whole.metrics.read_bytes()
    weights = "adapter_model.safetensors"
    assert (resumed.folder / weights).read_bytes() == (whole.folder / weights).read_bytes()
    assert resumed.val_loss == whole.val_loss
    parts = json.loads((config.out / "run.json").read_text())["parts"]
    assert [part["from_step"] for part in parts] == [0, 8]
    assert "seconds" not in parts[0]


class Stop(Exception):
    """Ends a run from outside at a line of progress."""


@pytest.mark.parametrize("at", ["step 2: validation", "step 3: validation"])
def test_patience_is_counted_over_a_resumption(
    at: str, base: Path, cohort: Path, tmp_path: Path
) -> None:
    """Cut in the middle of losing patience, and after losing it but before the checkpoint."""
    changes: dict[str, Any] = {
        "optim": {"lr": 0.2, "epochs": 40},
        "run": {"every": 1, "patience": 2, "log": 2},
    }
    whole = train(tiny_config(base, cohort, tmp_path / "whole", **changes))
    assert whole.stopped_early
    assert whole.steps == 3
    config = tiny_config(base, cohort, tmp_path / "cut", **changes)

    def stop(line: str) -> None:
        if line.startswith(at):
            raise Stop

    with pytest.raises(Stop):
        train(config, notify=stop)
    resumed = train(config, resume=True)
    assert (resumed.steps, resumed.best_step) == (whole.steps, whole.best_step)
    assert resumed.metrics.read_bytes() == whole.metrics.read_bytes()
    again = train(config, resume=True)  # the run has ended: only its checkpoint is written anew
    assert again == resumed
    weights = "adapter_model.safetensors"
    assert (again.folder / weights).read_bytes() == (whole.folder / weights).read_bytes()


def test_a_half_written_state_is_not_resumed_from(tmp_path: Path) -> None:
    for step, done in ((90, True), (100, True), (110, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "optimizer.pt").touch()
        if done:
            (folder / DONE).touch()
    assert last_state(tmp_path) == tmp_path / "checkpoint-100"
    assert not (tmp_path / "checkpoint-110").exists()
    assert last_state(tmp_path / "none") is None


def test_only_the_same_run_is_resumed(base: Path, cohort: Path, tmp_path: Path) -> None:
    config = tiny_config(base, cohort, tmp_path / "run", optim={"epochs": 1})
    with pytest.raises(OutputError, match="no run to resume"):
        train(config, resume=True)
    train(config)
    with pytest.raises(OutputError, match="not empty; add --resume"):
        train(config)
    other = tiny_config(base, cohort, tmp_path / "run", optim={"epochs": 1, "lr": 0.5})
    with pytest.raises(CaseFileError, match=r"another configuration \(optim\)"):
        train(other, resume=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(CaseFileError, match="no manifest"):
        train(config, resume=True)
