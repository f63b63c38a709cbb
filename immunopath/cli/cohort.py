"""``immunopath cohort``: the options. Nothing heavy is imported until the command runs."""

from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli.dates import as_of_date
from immunopath.cli.options import (
    AsOf,
    Atlas,
    Config,
    Device,
    Engine,
    Heat,
    HeatTiles,
    Profile,
    SamplingRegions,
    SamplingRounds,
    settings_of,
)
from immunopath.domain.errors import InputError


def cohort(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="One row a case: .csv .tsv .jsonl .parquet")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for results.")],
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    profile: Profile = None,
    predictor: Engine = None,
    phenotype: Engine = None,
    embedder: Engine = None,
    drugs: Engine = None,
    atlas: Atlas = None,
    device: Device = None,
    config: Config = None,
    sampling_rounds: SamplingRounds = None,
    sampling_regions: SamplingRegions = None,
    heat: Heat = None,
    heat_tiles: HeatTiles = None,
    as_of: AsOf = None,
    html: Annotated[bool, typer.Option(help="Write one page per case.")] = True,
    fhir: Annotated[
        bool, typer.Option("--fhir", help="Write one FHIR R4B bundle per case as well.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try cases again that failed before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the manifest, list bad rows, do nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line.")] = False,
) -> None:
    """Analyse a cohort: reports, tidy tables and a worklist.

    Killed at any moment, the same command goes on where it was. Exit code 4: some cases failed.
    """
    from immunopath.cli.cohort_run import Asked, run

    if engine not in {"local", "ray"}:
        raise InputError(f"--engine {engine}: choose local or ray")
    settings = settings_of(
        config,
        profile=profile,
        predictor=predictor,
        phenotype=phenotype,
        embedder=embedder,
        drugs=drugs,
        atlas=atlas,
        device=device,
        sampling_rounds=sampling_rounds,
        sampling_regions=sampling_regions,
        heat=heat,
        heat_tiles=heat_tiles,
    )
    asked = Asked(
        manifest=manifest,
        out=out,
        as_of=as_of_date(as_of),
        workers=workers,
        engine="ray" if engine == "ray" else "local",
        html=html,
        fhir=fhir,
        retry_failed=retry_failed,
        dry_run=dry_run,
        quiet=quiet,
    )
    raise typer.Exit(run(asked, settings))
