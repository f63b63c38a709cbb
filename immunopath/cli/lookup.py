"""``immunopath schema|drug``: what can be looked up without a case."""

from typing import Annotated

import typer


def schema() -> None:
    """Print the JSON Schema of the report."""
    import json

    from immunopath.domain.report import CaseReport

    typer.echo(json.dumps(CaseReport.model_json_schema(), indent=2))


def drug(name: Annotated[str, typer.Argument(help="Generic name, synonym or class.")]) -> None:
    """Show the curated record of a drug. Exit code 1 when there is none."""
    from immunopath.cli.inspect import show_drug

    raise typer.Exit(0 if show_drug(name) else 1)
