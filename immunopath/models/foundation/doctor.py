"""Can this request run here? Looks at the engines that were asked for, not at the machine alone.

Every row names what was checked, how it stands and what to do. Nothing is loaded; the hub is only
asked for what is neither in a folder nor in the cache.
"""

import shutil
from collections.abc import Iterator
from fnmatch import fnmatch

from immunopath.domain.errors import CheckpointError, HubError, ImmunoPathError
from immunopath.domain.packages import version_of
from immunopath.models.foundation.checks import GIB, Check, attempt, failed
from immunopath.models.foundation.hub_errors import is_offline
from immunopath.models.foundation.pins import read_pin
from immunopath.models.foundation.sources import checks_of, packages_of, sources_of
from immunopath.models.foundation.weights import Source, check_access, is_folder, locate
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
    rows += [row for row, _ in here]
    more = checks_of(role, spec)
    if more is not None:
        rows += more(head, spec, device, loadable=all(on_disk for _, on_disk in here))
    if not rows and spec.name != "embedded":
        return [Check(head, "note", "this engine does not say what it needs: not checked")]
    return rows or [Check(head, "ok", "ships with the package")]


def _packages(head: str, role: Role, spec: EngineSpec) -> Iterator[Check]:
    wanted = [*packages_of(role, spec)]
    if spec.options.get("quant") == "nf4":
        wanted.append("bitsandbytes")
    wanted = [_installed(names) for names in wanted]
    lacking = [name for name in wanted if version_of(name) is None]
    if lacking:
        yield Check(
            f"{head}: packages",
            "missing",
            f"not installed: {', '.join(lacking)}",
            f"pip install {' '.join(lacking)}",
        )
    elif wanted:
        shown = ", ".join(f"{name} {version_of(name)}" for name in wanted)
        yield Check(f"{head}: packages", "ok", shown)


def _installed(names: str) -> str:
    """Return the one of ``a|b`` that is installed, the first when none is."""
    either = names.split("|")
    return next((name for name in either if version_of(name) is not None), either[0])


def _files(head: str, source: Source) -> tuple[Check, bool]:
    """Return the row of a source's files (here, or to be fetched), and whether they are here."""
    name, label = source.name, f"{head}: files of {source.name}"
    if is_folder(name):
        row = attempt(label, lambda: _folder(name))
        return row, row.state == "ok"
    try:
        pin = read_pin(name)
    except CheckpointError as error:
        return failed(label, error), False
    try:
        wanted = source.revision or (pin.revision if pin else None)
        folder = locate(name, wanted, source.patterns, local=True)
    except HubError as error:
        if is_offline():
            return failed(label, error), False
        return attempt(label, lambda: _fetchable(source)), False
    same = pin is not None and pin.revision == folder.name
    pinned = "pinned" if same else f"not pinned; 'immunopath models fetch {name}' pins it"
    return Check(label, "ok", f"in the cache at {folder.name[:12]}, {pinned}"), True


def _folder(name: str) -> str:
    from pathlib import Path

    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{name}: no such folder; give one that exists or a hub id")
    return f"folder {folder}"


def _fetchable(source: Source) -> str:
    from huggingface_hub import HfApi, constants

    from immunopath.models.foundation.hub_errors import hub_failures, named_error

    repo = source.name
    check_access(repo, source.revision)
    try:
        found = HfApi().model_info(repo, revision=source.revision, files_metadata=True)
    except hub_failures() as error:
        raise named_error(error, repo, source.revision) from error
    sizes = {f.rfilename: f.size or 0 for f in found.siblings or []}
    wanted = [n for n in sizes if any(fnmatch(n, p) for p in source.patterns)]  # as the hub does
    size = sum(sizes[name] for name in wanted)
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
