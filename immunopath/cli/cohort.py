"""``immunopath cohort``: the options. Nothing heavy is imported until the command runs."""

from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli.dates import as_of_date
from immunopath.domain.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cohort)


Engine = Annotated[str | None, typer.Option(metavar="ENGINE", help="name[:id][,key=value…]")]


def cohort(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="One row a case: .csv .tsv .jsonl .parquet")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for results.")],
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    profile: Annotated[str | None, typer.Option(help="embedded or foundation.")] = None,
    predictor: Engine = None,
    phenotype: Engine = None,
    embedder: Engine = None,
    drugs: Engine = None,
    atlas: Annotated[Path | None, typer.Option(help="Default: the shipped atlas.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, …")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML.")] = None,
    sampling_rounds: Annotated[
        int | None, typer.Option(help="Further rounds of reading a slide, 0 to 5. Default: 2.")
    ] = None,
    sampling_regions: Annotated[
        int | None, typer.Option(help="Regions of all further rounds of a case. Default: 12.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="Date of the question, YYYY-MM-DD.")] = None,
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
    """Analyse a cohort: reports, tidy tables, and a worklist for the reference laboratory.

    Killed at any moment, the same command goes on where it was. Exit code 4: some cases failed.
    """
    from immunopath.cli.cohort_run import Asked, run
    from immunopath.pipeline.settings import Settings

    if engine not in {"local", "ray"}:
        raise InputError(f"--engine {engine}: choose local or ray")
    values: dict[str, object] = {
        "profile": profile, "predictor": predictor, "phenotype": phenotype, "embedder": embedder,
        "drugs": drugs, "atlas": None if atlas is None else str(atlas), "device": device,
        "sampling_rounds": sampling_rounds, "sampling_regions": sampling_regions,
    }  # fmt: skip
    given = {key: value for key, value in values.items() if value is not None}
    settings = (
        Settings.make(given, origin="command line")
        if config is None
        else Settings.from_toml(config, **given)
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
