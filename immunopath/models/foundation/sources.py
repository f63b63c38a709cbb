"""What an engine string needs from the hub and from the package index, asked of its builder.

A builder module may have ``hub_sources(spec)``, the ids or folders, file patterns and revisions
behind an engine string, which judges all its options as the builder does; ``PACKAGES``, the
distributions that it imports, or a function of the spec that returns them (``a|b`` means either of
two); ``DOCTOR``, ``module:function`` with what else the doctor can check; and
``check_files(spec)``, which looks at the files that an engine string names, reads records and
calibrations, and loads no weights.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from immunopath.domain.errors import CheckpointError, EngineSpecError, EngineUnavailable
from immunopath.models.foundation.checks import Check
from immunopath.models.foundation.devices import check_device
from immunopath.models.foundation.weights import SAFE_PATTERNS, Source, is_folder, matching_files
from immunopath.models.registry import ENTRIES, SWITCHED_OFF, Entry, Role, find_entry
from immunopath.models.spec import EngineSpec


def builder_module(role: Role, spec: EngineSpec) -> Any:  # noqa: ANN401 - a module
    """Return the module that builds the engine, or None when it is switched off."""
    if spec.name == SWITCHED_OFF:
        return None
    return import_module(find_entry(role, spec).builder.partition(":")[0])


def sources_of(role: Role, spec: EngineSpec) -> tuple[Source, ...]:
    """Return what the engine string needs; empty for engines without weights.

    Raises `EngineSpecError` for options that the engine does not take.
    """
    ask: Callable[[EngineSpec], tuple[Source, ...]] | None
    ask = getattr(builder_module(role, spec), "hub_sources", None)
    return () if ask is None else ask(spec)


def judge(role: Role, spec: EngineSpec, device: str) -> None:
    """Raise for an engine string that is wrong here, before any case is worked on.

    `EngineSpecError` for options or a device that no machine could take; `CheckpointError` or
    `CaseFileError` for a folder or file that is named and is not there or not what it must be.
    Packages, weights of the hub and GPUs that are not here are no fault of the engine string. No
    weights are read.
    """
    try:
        sources = sources_of(role, spec)
        if sources:
            with suppress(EngineUnavailable, ModuleNotFoundError):
                check_device(device)
        for source in sources:
            _require_here(source)
        check: Callable[[EngineSpec], None] | None
        check = getattr(builder_module(role, spec), "check_files", None)
        if check is not None:
            check(spec)
    except CheckpointError:
        raise
    except (EngineUnavailable, ModuleNotFoundError):
        return


def _require_here(source: Source) -> None:
    """Raise `CheckpointError` for a folder without any file that its engine could want."""
    if not is_folder(source.name):
        return
    folder = Path(source.name).expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; check the path in the engine string")
    if source.patterns and not matching_files(folder, source.patterns):
        raise CheckpointError(f"{folder}: holds no file of a checkpoint; name the folder of one")


def patterns_for(repo: str) -> tuple[str, ...]:
    """Return the files that some engine wants of a repository that it names by default.

    `SAFE_PATTERNS` for every other repository.
    """
    wanted: list[str] = []
    for entry in ENTRIES:
        for source in _default_sources(entry):
            if source.name.lower() == repo.lower():
                wanted += source.patterns
    return tuple(dict.fromkeys(wanted)) or SAFE_PATTERNS


def _default_sources(entry: Entry) -> tuple[Source, ...]:
    try:
        return sources_of(entry.role, EngineSpec(name=entry.name))
    except EngineSpecError:  # an engine that has no default id
        return ()


def packages_of(role: Role, spec: EngineSpec) -> tuple[str, ...]:
    """Return the distributions that the engine imports beyond the core."""
    packages: tuple[str, ...] | Callable[[EngineSpec], tuple[str, ...]]
    packages = getattr(builder_module(role, spec), "PACKAGES", ())
    return packages(spec) if callable(packages) else packages


def checks_of(role: Role, spec: EngineSpec) -> Callable[..., Iterable[Check]] | None:
    """Return what else the doctor can check of an engine, or None.

    It is called with the head of the rows, the spec, the device and ``loadable``, whether all files
    of the engine are on this disk.
    """
    named = getattr(builder_module(role, spec), "DOCTOR", None)
    if named is None:
        return None
    module, _, function = named.partition(":")
    found: Callable[..., Iterable[Check]] = getattr(import_module(module), function)
    return found
