"""``immunopath doctor``: the installation, or whether one request can run on it."""

from collections.abc import Mapping
from pathlib import Path

from immunopath.cli.inspect import doctor_rows, show_table
from immunopath.cli.options import settings_of
from immunopath.models.foundation.doctor import check_engine
from immunopath.models.registry import ROLES


def installation() -> int:
    """Show the packages; returns 1 when one of the core is missing, else 0."""
    rows = doctor_rows()
    show_table(("check", "state", "what to do"), rows)
    return 1 if any(row[1] == "missing" for row in rows) else 0


def request(engines: Mapping[str, str | None], config: Path | None) -> int:
    """Show the checks of a request; returns 1 when an engine of it cannot run, else 0.

    Raises `EngineSpecError` or `CaseFileError` for a request that cannot be understood.
    """
    settings = settings_of(config, **engines)
    rows = [
        check
        for role in ROLES
        for check in check_engine(role, settings.spec(role), settings.device)
    ]
    show_table(
        ("check", "state", "found", "what to do"),
        [(row.name, row.state, row.detail, row.remedy) for row in rows],
    )
    return 1 if any(row.state == "missing" for row in rows) else 0
