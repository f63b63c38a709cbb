"""``immunopath atlas``: the options. Nothing heavy is imported until a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli.exits import EXIT_REFUSED
from immunopath.cli.options import Atlas, Engine, Mpp

app = typer.Typer(help="Reference atlases for retrieval.", no_args_is_help=True)


@app.command("build")
def atlas_build(
    manifest: Annotated[Path, typer.Argument(help="CSV or TSV: one image a row.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the atlas goes.")],
    embedder: Engine = None,
    index: Annotated[
        str | None, typer.Option(help="faiss.index_factory string, e.g. HNSW32. Default: exact.")
    ] = None,
) -> None:
    """Build an atlas from labelled images; images left out are listed."""
    from immunopath.cli.atlas_run import build

    build(manifest, out, embedder, index)


@app.command("search")
def atlas_search(
    image: Annotated[Path, typer.Argument(help="An H&E image.")],
    mpp: Mpp = None,
    atlas: Atlas = None,
    embedder: Engine = None,
    k: Annotated[int, typer.Option(min=1, max=100, help="Neighbours to show.")] = 8,
) -> None:
    """Show the nearest reference patches of an image. Exit code 3 when it is refused."""
    from immunopath.cli.atlas_run import search

    raise typer.Exit(EXIT_REFUSED if search(image, mpp, atlas, embedder, k) is None else 0)
