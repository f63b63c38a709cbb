"""Where a command's text goes: to a file, or to standard output for ``-``."""

import json
from pathlib import Path

import typer

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
