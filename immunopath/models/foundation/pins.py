"""Which commit of a repository was fetched, and the digests of its files.

Pins lie in ``HF_HOME/immunopath``, beside the cache that they describe, so that whoever carries
the folder to a machine without a network carries them too.
"""

import re
from pathlib import Path

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CheckpointError


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
    try:
        return Pin.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(
            f"{path}: is not a pin; delete it and run 'immunopath models fetch {repo}'"
        ) from error


def write_pin(pin: Pin) -> Path:
    """Write a pin in one step and return its file."""
    path = pin_path(pin.repo)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".json.part")
    half.write_text(pin.model_dump_json(indent=2) + "\n", encoding="utf-8")
    half.replace(path)
    return path
