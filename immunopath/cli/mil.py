"""``immunopath train-mil``: an attention head over tile embeddings, as a predictor engine."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("-o", "--out", help="Folder of the checkpoint.")]


def train(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Folder with samples.jsonl and tiles.parquet.")
    ],
    out: Folder,
    embedder: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="name[:id][,key=value…]. Default: embedded."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of starts, batches and tile dropout.")] = 0,
    fields: Annotated[
        str | None, typer.Option(help="Fields to train, by commas. Default: all that can be.")
    ] = None,
    quantity: Annotated[
        str, typer.Option(help="What til_fraction is, e.g. rna_score_minmax.")
    ] = "",
    members: Annotated[int, typer.Option(min=1, max=50, help="Heads that are averaged.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="At most; stops early.")] = 200,
    features: Annotated[
        Path | None,
        typer.Option(help="File of vectors: to use, to make, or imported."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Tiles embedded side by side.")] = 2,
    device: Annotated[str, typer.Option(help="Of the embedder: cpu, cuda:0, …")] = "cpu",
) -> None:
    """Train an attention-MIL head on a cohort. Use it with '--predictor mil:FOLDER'."""
    from immunopath.cli.mil_run import Request, run

    wanted = tuple(name.strip() for name in fields.split(",")) if fields else ()
    values: dict[str, object] = {
        "seed": seed,
        "fields": wanted,
        "quantity": quantity,
        "members": members,
        "epochs": epochs,
    }
    run(Request(cohort, out, embedder, values, features, workers, device))
