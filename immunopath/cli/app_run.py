"""``immunopath app``: from the options to a page that is served."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import typer

from immunopath.app.bind import Binding, listening_socket
from immunopath.app.cohort_folder import CohortFolder
from immunopath.app.engines import Menu
from immunopath.app.server import Plan, serve
from immunopath.app.uploads import Limits
from immunopath.cli.options import settings_of
from immunopath.models.foundation.sources import judge
from immunopath.models.registry import ROLES, Role, check_spec
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.usable import require_usable


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line, engines apart."""

    binding: Binding
    config: Path | None
    cohort: Path | None
    max_upload_mb: int


def run(asked: Asked, engines: Mapping[str, tuple[str, ...]], others: Mapping[str, object]) -> None:
    """Serve the page until it is interrupted; everything is checked before it listens."""
    menu = _menu(asked.config, engines, others)
    folder = None if asked.cohort is None else CohortFolder(asked.cohort)
    limits = Limits(max_bytes=asked.max_upload_mb * 1024 * 1024)
    listener = listening_socket(asked.binding)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"ImmunoPath at http://{shown}:{port}/ (Ctrl+C ends it)")
    with suppress(KeyboardInterrupt):  # the way to end it is no error
        serve(Plan(asked.binding, menu, folder, limits), listener)


def _menu(
    config: Path | None, engines: Mapping[str, tuple[str, ...]], others: Mapping[str, object]
) -> Menu:
    """Return what may be chosen; raises `EngineSpecError` for an engine string that is wrong."""
    first = {role: given[0] for role, given in engines.items() if given}
    settings = settings_of(config, **others, **first)
    require_usable(settings)
    for role in ROLES:
        for text in (str(settings.spec(role)), *engines.get(role, ())):
            spec = EngineSpec.parse(text)
            check_spec(role, spec)
            judge(role, spec, settings.device)
    extra = {cast("Role", role): given[1:] for role, given in engines.items()}
    return Menu(settings, extra)
