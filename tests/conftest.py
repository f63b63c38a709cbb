"""Fixtures shared by the whole suite: real images and a network that is shut."""

import atexit
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"
# Before huggingface_hub is imported: no test may find, or look for, weights of whoever runs it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="immunopath-hf-")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)


class NetworkUsed(AssertionError):
    """A test reached for the network."""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test fails on any connection or name look-up that leaves this process."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise NetworkUsed(f"network used: {args[:2]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture(scope="session")
def shared_images() -> Path:
    """Folder of real images: he_other, lung_he_til, nucls_til, negatives (see SOURCES.md)."""
    return DATA / "images"
