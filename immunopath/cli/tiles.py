"""``immunopath tiles``: the options. Nothing heavy is imported until the command runs."""

from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli.options import value_of


def tiles(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    slides: Annotated[
        list[Path],
        typer.Argument(
            metavar="SLIDE|MANIFEST...",
            help="Slides, or CSV/TSV: slide, patient_id, mpp; a cohort's.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tiles and their manifest.")],
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel of the slides.")] = None,
    slide_folder: Annotated[
        Path | None, typer.Option(help="Of slides that a manifest names. Default: the manifest's.")
    ] = None,
    target_mpp: Annotated[float, typer.Option(help="Micrometres per pixel of the tiles.")] = 0.5,
    size: Annotated[int, typer.Option(help="Side of a tile in pixels.")] = 512,
    max_tiles: Annotated[
        int | None, typer.Option("--max", help="Tiles per slide, different ones. Default: all.")
    ] = None,
    clusters: Annotated[int, typer.Option(help="Clusters of the K-means choice.")] = 8,
    min_tissue: Annotated[float, typer.Option(help="Least share of tissue.")] = 0.5,
    normalise: Annotated[str, typer.Option(help="none, reinhard or macenko.")] = "none",
    image_format: Annotated[str, typer.Option("--format", help="png or jpg.")] = "png",
    seed: Annotated[int, typer.Option(help="Of every choice at random.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Reading processes. Default: one per core.")
    ] = None,
) -> None:
    """Cut slides into tiles. Exit code 3 when one has no usable tile, 2 when one is unreadable."""
    from immunopath.cli.tiles_run import OPTIONS, tile
    from immunopath.domain.units import checked_mpp
    from immunopath.training.tiles.record import TilingSettings

    chosen = {
        "rules": {"target_mpp": target_mpp, "size_px": size, "min_tissue": min_tissue},
        "max_tiles": max_tiles,
        "clusters": clusters,
        "normalise": normalise,
        "image_format": image_format,
        "seed": seed,
    }
    settings = value_of(TilingSettings, chosen, OPTIONS)
    stated = None if mpp is None else checked_mpp(mpp)
    raise typer.Exit(tile(slides, out, settings, (stated, slide_folder), workers))
