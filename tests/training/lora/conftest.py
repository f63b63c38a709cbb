"""A tiny base and a cohort of grey tiles, built once a session, and a checkpoint made of them."""

import importlib.util
from pathlib import Path

import pytest

from immunopath.models.torchvision_guard import guard_torchvision

if importlib.util.find_spec("torch") is not None:
    guard_torchvision()  # before the first import of transformers

from lora_cohort import build_cohort, tiny_config
from tiny_medgemma import build_base

from immunopath.training.lora.run import TrainedCheckpoint, train


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 3 with random weights."""
    return build_base(tmp_path_factory.mktemp("lora") / "base")


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients to train on, two to validate on; brightness decides the labels."""
    return build_cohort(tmp_path_factory.mktemp("lora") / "cohort")


@pytest.fixture(scope="session")
def trained(
    base: Path, cohort: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainedCheckpoint:
    """A checkpoint that answers by brightness."""
    out = tmp_path_factory.mktemp("lora") / "run"
    return train(tiny_config(base, cohort, out, optim={"epochs": 24}))
