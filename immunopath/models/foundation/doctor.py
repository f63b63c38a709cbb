"""Can this request run here? Looks at the engines that were asked for, not at the machine alone.

Every row names what was checked, how it stands and what to do. Nothing is loaded; the hub is only
asked for what is neither in a folder nor in the cache.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from immunopath.domain.errors import CheckpointError, EngineError, HubError, ImmunoPathError
from immunopath.models.foundation.hub_errors import is_offline
from immunopath.models.foundation.medgemma.memory_check import free_bytes
from immunopath.models.foundation.pins import read_pin
from immunopath.models.foundation.sources import Source, packages_of, sources_of
from immunopath.models.foundation.weights import check_access, is_folder, locate
from immunopath.models.registry import SWITCHED_OFF, Role
from immunopath.models.spec import EngineSpec

GIB = 1024**3
State = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Check:
    """One row: `state` ``missing`` means that the request cannot run as it stands."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def check_engine(role: Role, spec: EngineSpec, device: str) -> list[Check]:
    """Return the rows of one role; never raises an `ImmunoPathError`, which become rows."""
    head = f"{role} {spec.name}"
    if spec.name == SWITCHED_OFF:
        return [Check(head, "note", "switched off: the report will say so")]
    rows = list(_packages(head, role, spec))
    if any(row.state == "missing" for row in rows):
        return rows
    try:
        sources = sources_of(role, spec)
    except ImmunoPathError as error:
        return [*rows, _failed(f"{head}: options", error)]
    here = [_files(head, source) for source in sources]
    rows += here
    if spec.name == "medgemma":
        from immunopath.models.foundation.medgemma.doctor_medgemma import check_request

        rows += check_request(head, spec, device, loadable=all(r.state == "ok" for r in here))
    if spec.name == "txgemma":
        from immunopath.models.foundation.txgemma.doctor_txgemma import check_txgemma

        rows += check_txgemma(head, spec, device, loadable=all(r.state == "ok" for r in here))
    if not rows and spec.name != "embedded":
        return [Check(head, "note", "this engine does not say what it needs: not checked")]
    return rows or [Check(head, "ok", "ships with the package")]


def _packages(head: str, role: Role, spec: EngineSpec) -> Iterator[Check]:
    wanted = [*packages_of(role, spec)]
    if spec.options.get("quant") == "nf4":
        wanted.append("bitsandbytes")
    wanted = [_installed(names) for names in wanted]
    lacking = [name for name in wanted if _version(name) is None]
    if lacking:
        yield Check(
            f"{head}: packages",
            "missing",
            f"not installed: {', '.join(lacking)}",
            f"pip install {' '.join(lacking)}",
        )
    elif wanted:
        shown = ", ".join(f"{name} {_version(name)}" for name in wanted)
        yield Check(f"{head}: packages", "ok", shown)


def _installed(names: str) -> str:
    """Return the one of ``a|b`` that is installed, the first when none is."""
    either = names.split("|")
    return next((name for name in either if _version(name) is not None), either[0])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _files(head: str, source: Source) -> Check:
    """Return whether the files of a source are here or may be fetched, and fit on the disk."""
    name, patterns = source
    label = f"{head}: files of {name}"
    if is_folder(name):
        return attempt(label, lambda: _folder(name))
    pin = read_pin(name)
    try:
        folder = locate(name, pin.revision if pin else None, patterns, local=True)
    except HubError as error:
        if is_offline():
            return _failed(label, error)
        return attempt(label, lambda: _fetchable(name, patterns))
    pinned = "pinned" if pin else f"not pinned; 'immunopath models fetch {name}' pins it"
    return Check(label, "ok", f"in the cache at {folder.name[:12]}, {pinned}")


def _folder(name: str) -> str:
    from pathlib import Path

    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{name}: no such folder; give one that exists or a hub id")
    return f"folder {folder}"


def _fetchable(repo: str, patterns: Sequence[str]) -> str:
    from huggingface_hub import HfApi, constants

    from immunopath.models.foundation.hub_errors import hub_failures, named_error

    check_access(repo)
    try:
        found = HfApi().model_info(repo, files_metadata=True)
    except hub_failures() as error:
        raise named_error(error, repo, None) from error
    sizes = {f.rfilename: f.size or 0 for f in found.siblings or []}
    size = sum(sizes[n] for n in sizes if any(fnmatch(n, p) for p in patterns))  # as the hub does
    free = shutil.disk_usage(_existing(constants.HF_HOME)).free
    if size > free:
        raise HubError(
            f"{repo}: {size / GIB:.1f} GiB to fetch, {free / GIB:.1f} GiB free; free space or set "
            "HF_HOME to another disk"
        )
    return f"can be fetched: {size / GIB:.1f} GiB, {free / GIB:.1f} GiB free"


def memory_check(label: str, need: int, text: str, device: str, remedy: str) -> Check:
    """Return the row that compares `need` (bytes, described by `text`) with what is free."""
    free = free_bytes(device)
    if free is None:
        return Check(label, "note", f"{text}; free memory of {device} is not known")
    found = f"{text}; {free / GIB:.2f} GiB free on {device}"
    if need > free:
        return Check(label, "missing", found, remedy)
    return Check(label, "ok", found)


def _existing(path: str) -> str:
    from pathlib import Path

    folder = Path(path).expanduser()
    while not folder.exists():
        folder = folder.parent
    return str(folder)


def attempt(label: str, check: Callable[[], str]) -> Check:
    """Return an ``ok`` row with what `check` says, or a ``missing`` one with its error."""
    try:
        return Check(label, "ok", check())
    except ImmunoPathError as error:
        return _failed(label, error)


def _failed(label: str, error: ImmunoPathError) -> Check:
    kind = type(error).__name__ if isinstance(error, EngineError) else "options"
    what, _, remedy = str(error).partition("; ")
    return Check(label, "missing", f"{kind}: {what}", remedy)
