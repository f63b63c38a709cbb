"""Can this request run here? Looks at the engines that were asked for, not at the machine alone.

Every row names what was checked, how it stands and what to do. Nothing is loaded; the hub is only
asked for what is neither in a folder nor in the cache.
"""

import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version

from immunopath.domain.errors import CheckpointError, HubError, ImmunoPathError
from immunopath.models.foundation.checks import GIB, Check, attempt, failed
from immunopath.models.foundation.hub_errors import is_offline
from immunopath.models.foundation.pins import read_pin
from immunopath.models.foundation.sources import Source, packages_of, sources_of
from immunopath.models.foundation.weights import check_access, is_folder, locate
from immunopath.models.registry import SWITCHED_OFF, Role
from immunopath.models.spec import EngineSpec


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
        return [*rows, failed(f"{head}: options", error)]
    here = [_files(head, source) for source in sources]
    rows += here
    if spec.name == "medgemma":
        from immunopath.models.foundation.medgemma.doctor_medgemma import check_request

        rows += check_request(head, spec, device, loadable=all(r.state == "ok" for r in here))
    if spec.name == "txgemma":
        from immunopath.models.foundation.txgemma.doctor_txgemma import check_txgemma

        rows += check_txgemma(head, spec, device, loadable=all(r.state == "ok" for r in here))
    if spec.name == "mil":
        from immunopath.models.mil.doctor import check_mil

        rows.append(check_mil(head, spec))
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
            return failed(label, error)
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


def _existing(path: str) -> str:
    from pathlib import Path

    folder = Path(path).expanduser()
    while not folder.exists():
        folder = folder.parent
    return str(folder)
