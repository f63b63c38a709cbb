"""Checkpoints that several test files use, built once a session."""

import importlib.util
from pathlib import Path

import pytest

from immunopath.models.torchvision_guard import guard_torchvision

if importlib.util.find_spec("torch") is not None:
    guard_torchvision()  # before the first import of transformers

from tiny_gemma2 import build_gemma2
from tiny_medgemma import Folders, build_all, build_base
from tiny_siglip import build_siglip
from tiny_vit import build_vit


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny matrices on several threads of a busy machine take a hundred times as long."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 3 with random weights."""
    return build_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def medgemma(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A base and two trained adapters with their records."""
    return build_all(tmp_path_factory.mktemp("medgemma"))


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SigLIP with random weights."""
    return build_siglip(tmp_path_factory.mktemp("siglip") / "model")


@pytest.fixture(scope="session")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ViT with random weights."""
    return build_vit(tmp_path_factory.mktemp("vit") / "model")


@pytest.fixture(scope="session")
def gemma2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 2 that knows some answers by heart."""
    return build_gemma2(tmp_path_factory.mktemp("gemma2") / "txgemma-tiny")
