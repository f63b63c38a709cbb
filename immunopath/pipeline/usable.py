"""What is named in the settings of a run is looked at before its first case."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from immunopath.domain.errors import EngineUnavailable
from immunopath.models.atlas_bundle import bundle_path, read_header
from immunopath.models.foundation.sources import judge, sources_of
from immunopath.models.foundation.weights import is_folder, matching_files, sha256_of
from immunopath.models.registry import ROLES
from immunopath.pipeline.settings import Settings

_READ_WHOLE: Final = 64 << 20
"""Bytes: base models of many GB are not read where a run has nothing to do."""


def require_usable(settings: Settings) -> None:
    """Raise an `ImmunoPathError` for engines or an atlas that no case could be analysed with.

    That is: options that do not exist, and named folders and files that are not there or not what
    they must be. What only loading shows, and what is missing on this machine (a package, weights
    of the hub, a GPU), is found by the case that needs it, and is told in its report.
    """
    for role in ROLES:
        judge(role, settings.spec(role), settings.device)
    if settings.atlas is not None:
        read_header(settings.atlas)


def files_digest(settings: Settings) -> str:
    """Return the digest of the local files behind engines and atlas; empty where none is named.

    Weights of the hub are left out: their string names them. A file above 64 MiB counts by its
    size and time of change, every other one by its bytes. Raises `EngineUnavailable` for a file
    that cannot be read.
    """
    marks = {path: _mark(path) for path in _named_files(settings) if path.is_file()}
    text = "".join(f"{mark}  {path}\n" for path, mark in sorted(marks.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else ""


def _named_files(settings: Settings) -> Iterator[Path]:
    """Yield the files of every folder and option that is named, records and calibrations too."""
    if settings.atlas is not None:
        yield bundle_path(settings.atlas)
    for role in ROLES:
        spec = settings.spec(role)
        yield from (Path(value).expanduser() for value in spec.options.values())
        if spec.source is not None:
            yield Path(spec.source).expanduser()
        with suppress(EngineUnavailable, ModuleNotFoundError):
            for source in sources_of(role, spec):
                folder = Path(source.name).expanduser()
                if is_folder(source.name) and folder.is_dir():
                    found = {*matching_files(folder, source.patterns)}
                    yield from (folder / name for name in found)
                    yield from folder.glob("*.json")


def _mark(path: Path) -> str:
    about = path.stat()
    if about.st_size > _READ_WHOLE:
        return f"{about.st_size} {about.st_mtime_ns}"
    return sha256_of(path)
