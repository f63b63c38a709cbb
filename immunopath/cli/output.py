"""Where a command's text goes: to a file, or to standard output for ``-``."""

import json
from collections.abc import Iterable
from pathlib import Path

import typer

from immunopath.domain.errors import OutputError
from immunopath.domain.files import write_text


def write_out(text: str, target: str) -> None:
    """Write text; raises `OutputError` where a file cannot be written."""
    if target == "-":
        typer.echo(text, nl=False)
    else:
        write_text(Path(target), text)


def write_json(content: object, target: str) -> None:
    """Write JSON in ASCII: no text of the input can drive the terminal that shows it."""
    write_out(json.dumps(content, indent=2) + "\n", target)


def spare(inputs: Iterable[Path], target: Path) -> None:
    """Raise `OutputError` when the output is one of the inputs."""
    if target.resolve() in {path.resolve() for path in inputs}:
        raise OutputError(f"{target}: is named twice; give the output a file of its own")


def spare_run(folder: Path, target: Path) -> None:
    """Raise `OutputError` when the output is a file that is there already inside a run's folder."""
    if target.exists() and folder.resolve() in target.resolve().parents:
        raise OutputError(f"{target}: lies in the folder of a run; give the output another name")
