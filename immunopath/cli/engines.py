"""``immunopath models``: the engines of every role and the checkpoints behind them."""

from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli import checkpoints
from immunopath.cli.options import Mpp, OneDevice, Tissue

app = typer.Typer(help="The engines of every role.", no_args_is_help=True)


@app.command("list")
def show() -> None:
    """List the engines of every role. Their licence, and which need weights (see doctor)."""
    from immunopath.cli.inspect import model_rows, show_table

    show_table(("role", "name", "licence", "state", "what"), model_rows())


@app.command()
def fetch(
    what: Annotated[list[str], typer.Argument(metavar="ID|ENGINE...", help="Hub ids or engines.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
) -> None:
    """Fetch weights, pin their commit and record their digests."""
    from immunopath.cli.models import fetch_all

    fetch_all(what, revision)


@app.command()
def verify(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FOLDER|ENGINE]...", help="Default: all.")
    ] = None,
) -> None:
    """Read fetched weights again and compare with their pins. Exit code 1 if any differs."""
    from immunopath.cli.models import verify_all

    raise typer.Exit(0 if verify_all(what or []) else 1)


@app.command()
def probe(
    engine: Annotated[str, typer.Argument(metavar="ENGINE", help="name[:id][,key=value…]")],
    images: Tissue,
    mpp: Mpp = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Result file (JSON).")] = None,
    device: OneDevice = "cpu",
) -> None:
    """Say how much a predictor's answers depend on the image. Real, blank and shuffled patches."""
    from immunopath.cli.models import probe_engine

    probe_engine(engine, images, mpp, out, device)


app.command("compare")(checkpoints.compare)
app.command("panel")(checkpoints.panel)
