"""Fetching checkpoints with their revision pinned, and checking what was fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from immunopath.domain.errors import CheckpointError, EngineUnavailable, WeightsCorrupted
from immunopath.models.foundation.pins import Pin, every_pin, read_pin, write_pin
from immunopath.models.foundation.weights import (
    SAFE_PATTERNS,
    is_folder,
    locate,
    matching_files,
    numbers_in,
    sha256_of,
)


@dataclass(frozen=True)
class Fetched:
    """A repository at a commit: its snapshot folder, its pin and the bytes of its files."""

    pin: Pin
    folder: Path
    size: int


@dataclass(frozen=True)
class FileState:
    """One file against its pin: ``ok``, ``differs``, ``missing``, ``broken`` or ``not pinned``."""

    source: str
    name: str
    state: Literal["ok", "differs", "missing", "broken", "not pinned"]
    sha256: str = ""


def fetch(
    repo: str, revision: str | None = None, patterns: Sequence[str] = SAFE_PATTERNS
) -> Fetched:
    """Fetch a repository, pin the commit and record every file's SHA-256.

    A pin that exists is replaced. Raises a `HubError`, or `CheckpointError` for a local folder
    and for a repository without any of the files wanted.
    """
    if is_folder(repo):
        raise CheckpointError(f"{repo}: is a folder; there is nothing to fetch, 'verify' it")
    folder = locate(repo, revision, patterns)
    names = matching_files(folder, patterns)
    if not names:
        raise CheckpointError(
            f"{repo}: has no file of {', '.join(patterns)}; is it the right repository?"
        )
    old = read_pin(repo)
    files = {name: sha256_of(folder / name) for name in names}
    if old is not None and old.revision == folder.name:
        files = old.files | files  # another engine may need other files of the same commit
    pin = Pin(repo=repo, revision=folder.name, files=files)
    write_pin(pin)
    return Fetched(pin, folder, sum((folder / name).stat().st_size for name in names))


def pinned_repos() -> list[str]:
    """Return every repository with a pin, sorted; raises `CheckpointError` for a damaged pin."""
    return [pin.repo for pin in every_pin()]


def verify(source: str, revision: str | None = None) -> list[FileState]:
    """Read every file again and compare it with its pin; a folder is checked to be whole.

    Raises `HubOffline` when a pinned commit is not in the cache, `CheckpointError` for a
    repository that was never fetched, or whose pin is of another commit than `revision`.
    """
    if is_folder(source):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise CheckpointError(f"{source}: no such folder")
        return [
            _state(source, folder, name, None) for name in matching_files(folder, SAFE_PATTERNS)
        ]
    pin = read_pin(source)
    if pin is None:
        raise CheckpointError(
            f"{source}: was never fetched here; run 'immunopath models fetch {source}'"
        )
    if revision is not None:
        asked = locate(source, revision, tuple(pin.files), local=True).name
        if asked != pin.revision:
            raise CheckpointError(
                f"{source}: {revision} is {asked[:12]}, pinned is {pin.revision[:12]}; run "
                f"'immunopath models fetch {source} --revision {revision}'"
            )
    folder = locate(source, pin.revision, tuple(pin.files))
    return [_state(source, folder, name, digest) for name, digest in pin.files.items()]


def _state(source: str, folder: Path, name: str, pinned: str | None) -> FileState:
    path = folder / name
    if not path.is_file():
        return FileState(source, name, "missing")
    if name.endswith(".safetensors") and not whole_safetensors(path):
        return FileState(source, name, "broken")
    digest = sha256_of(path)
    if pinned is None:
        return FileState(source, name, "not pinned", digest)
    return FileState(source, name, "ok" if digest == pinned else "differs", digest)


def whole_safetensors(path: Path) -> bool:
    """Return whether header and length of a safetensors file fit together."""
    try:
        numbers_in(path, str(path))
    except WeightsCorrupted:
        return False
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            "safetensors is not installed: pip install 'immunopath[foundation]'"
        ) from error
    return True
