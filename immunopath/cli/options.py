"""Options that several commands share, and the values that they stand for."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from immunopath.domain.errors import InputError

if TYPE_CHECKING:
    from immunopath.domain.base import Frozen
    from immunopath.pipeline.settings import Settings

Engine = Annotated[str | None, typer.Option(metavar="ENGINE", help="name[:id][,key=value…]")]
Profile = Annotated[str | None, typer.Option(help="embedded or foundation.")]
Atlas = Annotated[Path | None, typer.Option(help="Default: the shipped atlas.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda:0, …")]
OneDevice = Annotated[str, typer.Option(help="cpu, cuda:0, …")]
"""Of a command that takes no settings, so that it has a default of its own."""
Config = Annotated[Path | None, typer.Option(help="Settings as TOML.")]
SamplingRounds = Annotated[
    int | None, typer.Option(help="Further rounds of reading a slide, 0 to 5. Default: 2.")
]
SamplingRegions = Annotated[
    int | None, typer.Option(help="Regions of all further rounds of a case. Default: 12.")
]
Heat = Annotated[
    bool | None,
    typer.Option("--heat/--no-heat", help="Count every tissue tile, for whole-slide maps."),
]
HeatTiles = Annotated[
    int | None, typer.Option(help="Most tissue tiles of a case for --heat. Default: 20000.")
]
HeatWorkers = Annotated[
    int | None, typer.Option(min=0, help="Processes for --heat. Default: one per core.")
]
AsOf = Annotated[str | None, typer.Option(help="Date of the question, YYYY-MM-DD.")]
Mpp = Annotated[float | None, typer.Option(help="Micrometres per pixel.")]
Tissue = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="H&E with tissue.")]

_AS_NAMED: Final[Mapping[str, str]] = MappingProxyType({})
Value = TypeVar("Value", bound="Frozen")


def settings_of(config: Path | None, **options: object) -> "Settings":
    """Return the settings of a file and of options, which win; those left at None say nothing.

    Raises `CaseFileError` or `EngineSpecError`.
    """
    from immunopath.pipeline.settings import Settings

    given = {name: value for name, value in options.items() if value is not None}
    if config is None:
        return Settings.make(given, origin="command line")
    return Settings.from_toml(config, **given)


def value_of(
    kind: type[Value], values: Mapping[str, object], names: Mapping[str, str] = _AS_NAMED
) -> Value:
    """Make a value of options; raises `InputError` naming the option that is out of range.

    names: the option of a field, where it is called otherwise.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = next(part for part in reversed(first["loc"]) if isinstance(part, str))
        option = names.get(field, field.replace("_", "-"))
        raise InputError(f"--{option} {first['input']!r}: {first['msg']}") from error
