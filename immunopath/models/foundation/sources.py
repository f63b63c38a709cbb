"""What an engine string needs from the hub and from the package index, asked of its builder.

A builder module may have ``hub_sources(spec)``, the ids or folders and file patterns behind an
engine string, and ``PACKAGES``, the distributions that it imports.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from immunopath.models.registry import SWITCHED_OFF, Role, find_entry
from immunopath.models.spec import EngineSpec

Source = tuple[str, tuple[str, ...]]
"""A hub id or folder, and the patterns of the files that are needed of it."""


def builder_module(role: Role, spec: EngineSpec) -> Any:  # noqa: ANN401 - a module
    """Return the module that builds the engine, or None when it is switched off or not shipped."""
    if spec.name == SWITCHED_OFF:
        return None
    builder = find_entry(role, spec).builder
    return None if builder is None else import_module(builder.partition(":")[0])


def sources_of(role: Role, spec: EngineSpec) -> tuple[Source, ...]:
    """Return what the engine string needs; empty for engines without weights.

    Raises `EngineSpecError` for options that the engine does not take.
    """
    ask: Callable[[EngineSpec], tuple[Source, ...]] | None
    ask = getattr(builder_module(role, spec), "hub_sources", None)
    return () if ask is None else ask(spec)


def packages_of(role: Role, spec: EngineSpec) -> tuple[str, ...]:
    """Return the distributions that the engine imports beyond the core."""
    packages: tuple[str, ...] = getattr(builder_module(role, spec), "PACKAGES", ())
    return packages
