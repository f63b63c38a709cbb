"""From a hub id or a local folder to files on disk, with the revision pinned and digests taken.

Nothing here touches the network unless a hub id is not in the local cache, and never when
``HF_HUB_OFFLINE`` is set. ``HF_HOME`` and ``HF_ENDPOINT`` are honoured by huggingface_hub itself.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Self

from immunopath.domain.errors import (
    CheckpointError,
    EngineSpecError,
    WeightsCorrupted,
    first_line,
)
from immunopath.domain.files import open_regular
from immunopath.models.foundation.hub_errors import (
    hub_failures,
    is_offline,
    named_error,
    offline,
)
from immunopath.models.foundation.pins import Pin, read_pin
from immunopath.models.spec import EngineSpec

SAFE_PATTERNS: Final = ("*.safetensors", "*.json", "*.jinja", "*.model", "tokenizer*")
"""What a transformers or peft checkpoint needs: no pickle, no code."""
OWN_FILES: Final = ("immunopath*.json", "calibration.json", "validation.json")
"""Records, probe results, calibrations, validations: put beside weights, and no weights."""
_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")
_BLOCK: Final = 1 << 20
_known: dict[tuple[str, int, int], str] = {}
"""SHA-256 by real path, size and time of change: a file is read once per process."""


@dataclass(frozen=True)
class Weights:
    """A checkpoint on disk.

    folder: where its files lie; repo_id and revision (a commit): None for a local folder; files:
    SHA-256 by name relative to the folder; digest: SHA-256 over names and digests of all of them.
    """

    source: str
    folder: Path
    repo_id: str | None
    revision: str | None
    files: Mapping[str, str]
    digest: str

    @property
    def label(self) -> str:
        """Return what to call the revision in provenance: the commit, or the digest's start."""
        return self.revision or f"sha256-{self.digest[:12]}"


@dataclass(frozen=True)
class Source:
    """What an engine needs: a hub id or folder, the patterns of its files, and which revision.

    revision: a branch, tag or commit; None = what ``models fetch`` pinned, else the main branch.
    """

    name: str
    patterns: tuple[str, ...] = SAFE_PATTERNS
    revision: str | None = None

    @classmethod
    def of(
        cls,
        spec: EngineSpec,
        name: str,
        patterns: tuple[str, ...] = SAFE_PATTERNS,
        key: str = "revision",
    ) -> Self:
        """Return the source with the revision that the option `key` names.

        Raises `EngineSpecError` for a revision of a folder, which has none.
        """
        revision = spec.options.get(key)
        if revision is not None and is_folder(name):
            raise EngineSpecError(
                f"engine {spec}: {key}= goes with a hub id; {name} is a folder, leave it out"
            )
        return cls(name, patterns, revision)

    def resolve(self) -> Weights:
        """Return the files, fetched if need be; see `resolve_weights`."""
        return resolve_weights(self.name, revision=self.revision, patterns=self.patterns)


def is_folder(source: str) -> bool:
    """Return whether a source names a local folder rather than a hub id."""
    path = Path(source).expanduser()
    return path.is_dir() or path.is_absolute() or _HUB_ID.match(source) is None


def resolve_weights(
    source: str, *, revision: str | None = None, patterns: Sequence[str] = SAFE_PATTERNS
) -> Weights:
    """Return the files behind a hub id or a folder, fetched if need be, each with its SHA-256.

    `revision` is a branch, tag or commit; without it the commit that ``models fetch`` pinned is
    used, else the hub's main branch. Raises a `HubError` (`HubTokenMissing`,
    `HubTermsNotAccepted`, `HubNameUnknown`, `HubOffline`), `WeightsCorrupted` when the files
    differ from what was pinned, and `CheckpointError` for a folder that does not exist.
    """
    if is_folder(source):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise CheckpointError(
                f"{source}: no such folder; give a folder that exists or a hub id (owner/name)"
            )
        return _weights(source, folder, None, None, patterns)
    pin = read_pin(source)
    wanted = revision or (pin.revision if pin else None)
    folder = locate(source, wanted, patterns)
    weights = _weights(source, folder, source, folder.name, patterns)
    if pin is not None and pin.revision == weights.revision:
        check_pin(weights, pin)
    return weights


def locate(
    repo: str, revision: str | None, patterns: Sequence[str], *, local: bool = False
) -> Path:
    """Return the snapshot folder of a repository: from the cache, else from the hub.

    A commit that is wholly in the cache costs no request; `local` never asks the hub. Raises a
    `HubError`.
    """
    local = local or is_offline()
    commit = revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None
    if commit or local:
        try:
            return _snapshot(repo, revision, patterns, local=True)
        except hub_failures() as error:
            if local:
                raise offline(repo, revision) from error
    try:
        return _snapshot(repo, revision, patterns, local=False)
    except hub_failures() as error:
        raise named_error(error, repo, revision) from error


def _snapshot(repo: str, revision: str | None, patterns: Sequence[str], *, local: bool) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            repo, revision=revision, allow_patterns=list(patterns), local_files_only=local
        )
    )


def check_access(repo: str, revision: str | None = None) -> None:
    """Ask the hub whether files of `repo` may be fetched; raises the `HubError` if not."""
    from huggingface_hub import auth_check

    if is_offline():
        raise offline(repo, revision)
    try:
        auth_check(repo)
    except hub_failures() as error:
        raise named_error(error, repo, None) from error


def check_pin(weights: Weights, pin: Pin) -> None:
    """Raise `WeightsCorrupted` unless every pinned file is here with its pinned digest."""
    for name, digest in pin.files.items():
        found = weights.files.get(name)
        if found != digest:
            state = "is missing" if found is None else f"has SHA-256 {found[:12]}…"
            raise WeightsCorrupted(
                f"{weights.folder / name}: {state}, pinned is {digest[:12]}…; fetch it again with "
                f"'immunopath models fetch {weights.source}'"
            )


def _weights(
    source: str, folder: Path, repo: str | None, revision: str | None, patterns: Sequence[str]
) -> Weights:
    names = matching_files(folder, patterns)
    with ThreadPoolExecutor(max_workers=4) as pool:
        digests = list(pool.map(lambda name: sha256_of(folder / name), names))
    files = dict(zip(names, digests, strict=True))
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return Weights(source, folder, repo, revision, files, hashlib.sha256(text.encode()).hexdigest())


def matching_files(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Return the names below `folder` that match, sorted; a pattern without ``/`` stays on top.

    No folder is looked into that no pattern names. Raises `CheckpointError`.
    """
    top, below = ([p for p in patterns if ("/" in p) == deep] for deep in (False, True))
    try:
        found = [p for p in folder.iterdir() if any(fnmatchcase(p.name, t) for t in top)]
        found += [path for pattern in below for path in folder.glob(pattern)]
        names = {path.relative_to(folder).as_posix() for path in found if path.is_file()}
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be read ({error.strerror})") from error
    return sorted(n for n in names if not any(fnmatchcase(n, own) for own in OWN_FILES))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; raises `WeightsCorrupted` when it cannot be read."""
    try:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
        if key not in _known:
            digest = hashlib.sha256()
            with open_regular(path) as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
            _known[key] = digest.hexdigest()
        return _known[key]
    except OSError as error:
        raise WeightsCorrupted(f"{path}: cannot be read ({error.strerror})") from error


def require_weights(path: Path) -> None:
    """Raise `WeightsCorrupted` unless `path` is a regular file with something in it."""
    if not path.is_file() or not path.stat().st_size:
        raise WeightsCorrupted(f"{path}: no such file, or an empty one; name a file of weights")


def stored_numbers(weights: Weights) -> int:
    """Return how many numbers the safetensors files hold; reads no more than their headers.

    Raises `WeightsCorrupted` for one that is cut off or none at all.
    """
    names = [name for name in weights.files if name.endswith(".safetensors")]
    return sum(numbers_in(weights.folder / name, weights.source) for name in names)


def numbers_in(path: Path, source: str) -> int:
    """Return how many numbers one safetensors file holds; raises `WeightsCorrupted`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - no dict
    except (SafetensorError, OSError) as error:
        again = "copy it again" if is_folder(source) else f"run 'immunopath models fetch {source}'"
        raise WeightsCorrupted(
            f"{path}: is not a whole safetensors file ({first_line(error, 160)}); {again}"
        ) from error
