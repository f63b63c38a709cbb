"""Which commit of a repository was fetched, and the digests of its files.

Pins lie in ``HF_HOME/immunopath``, beside the cache that they describe, so that whoever carries
the folder to a machine without a network carries them too.
"""

import re
from pathlib import Path

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.errors import CheckpointError
from immunopath.domain.files import read_bounded, write_text


class Pin(Frozen):
    """One repository at one commit."""

    repo: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    files: dict[str, str]
    """SHA-256 by file name."""


def state_folder() -> Path:
    """Return where ImmunoPath keeps what it knows of fetched weights: ``HF_HOME/immunopath``."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME).expanduser() / "immunopath"


def pin_path(repo: str) -> Path:
    """Return the file that holds the pin of a repository."""
    return state_folder() / "pins" / (re.sub(r"[^\w.-]", "--", repo) + ".json")


def read_pin(repo: str) -> Pin | None:
    """Return the pin, or None when nothing was pinned; raises `CheckpointError` if unreadable."""
    path = pin_path(repo)
    if not path.is_file():
        return None
    pin = _read(path)
    if pin.repo.lower() != repo.lower():
        raise _damaged(path, f"it is the pin of {pin.repo}")
    return pin


def every_pin() -> list[Pin]:
    """Return all pins, sorted by repository; raises `CheckpointError` for a damaged one."""
    pins = [_read(path) for path in (state_folder() / "pins").glob("*.json")]
    return sorted(pins, key=lambda pin: pin.repo)


def write_pin(pin: Pin) -> Path:
    """Write a pin in one step and return its file; raises `OutputError`."""
    path = pin_path(pin.repo)
    write_text(path, pin.model_dump_json(indent=2) + "\n")
    return path


def _read(path: Path) -> Pin:
    try:
        return Pin.model_validate_json(read_bounded(path))
    except (OSError, ValidationError) as error:
        raise _damaged(path, first_fault(error, "pin")) from error


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: is not a pin ({why}); delete it and fetch its repository again with 'immunopath "
        "models fetch'"
    )
