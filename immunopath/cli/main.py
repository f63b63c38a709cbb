"""The command line. Nothing heavy is imported until a command needs it."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from immunopath import __version__
from immunopath.cli import checkpoints
from immunopath.domain.errors import ImmunoPathError

EXIT_ERROR = 2
EXIT_REFUSED = 3

app = typer.Typer(
    name="immunopath",
    help="Immune biomarkers of NSCLC from H&E images. Research use only.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models_app = typer.Typer(help="The engines of every role.", no_args_is_help=True)
guidelines_app = typer.Typer(help="The guideline knowledge.", no_args_is_help=True)
atlas_app = typer.Typer(help="Reference atlases for retrieval.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(atlas_app, name="atlas")
app.add_typer(guidelines_app, name="guidelines")


def run() -> None:
    """Entry point: an ImmunoPath error is one line on stderr and exit code 2."""
    try:
        app()
    except ImmunoPathError as error:
        sys.stderr.write(f"immunopath: {error}\n")
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("immunopath: interrupted\n")
        sys.exit(130)


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


Engine = Annotated[str | None, typer.Option(metavar="ENGINE", help="name[:id][,key=value…]")]


@app.command()
def analyze(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="H&E of one case.")],
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel of the images.")] = None,
    clinical: Annotated[Path | None, typer.Option(help="Measured clinical facts (YAML).")] = None,
    case_id: Annotated[str | None, typer.Option(help="Default: the first image's name.")] = None,
    patient_id: Annotated[str | None, typer.Option(help="Left out of retrieval.")] = None,
    profile: Annotated[str | None, typer.Option(help="embedded or foundation.")] = None,
    predictor: Engine = None,
    phenotype: Engine = None,
    embedder: Engine = None,
    drugs: Engine = None,
    atlas: Annotated[Path | None, typer.Option(help="Default: the shipped atlas.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, …")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Date of the question, YYYY-MM-DD.")] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH|-", help="Write the report as JSON.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
    md: Annotated[Path | None, typer.Option(help="Write Markdown.")] = None,
    nuclei: Annotated[Path | None, typer.Option(help="Write nuclei as QuPath GeoJSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No report on the terminal.")] = False,
) -> None:
    """Analyse the images of one case. Exit code 3 when they were refused."""
    from immunopath.cli.analyze import Outputs, Request, analyze_case

    engines = {
        "profile": profile,
        "predictor": predictor,
        "phenotype": phenotype,
        "embedder": embedder,
        "drugs": drugs,
        "atlas": None if atlas is None else str(atlas),
        "device": device,
    }
    request = Request(tuple(images), mpp, clinical, case_id, patient_id, config, engines)
    outputs = Outputs(json_path, html, md, nuclei, quiet)
    raise typer.Exit(analyze_case(request, outputs, _date(as_of)))


def _date(text: str | None) -> date:
    if text is None:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ImmunoPathError(f"--as-of {text!r}: is not a date YYYY-MM-DD") from error


@app.command()
def doctor(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    profile: Annotated[str | None, typer.Option(help="embedded or foundation.")] = None,
    predictor: Engine = None,
    phenotype: Engine = None,
    embedder: Engine = None,
    drugs: Engine = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, …")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML.")] = None,
) -> None:
    """Check this installation, or with options whether that request can run here."""
    from immunopath.cli.doctor import installation, request

    engines = {
        "profile": profile,
        "predictor": predictor,
        "phenotype": phenotype,
        "embedder": embedder,
        "drugs": drugs,
        "device": device,
    }
    asked = config is not None or any(engines.values())
    raise typer.Exit(request(engines, config) if asked else installation())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the report."""
    import json

    from immunopath.domain.report import CaseReport

    typer.echo(json.dumps(CaseReport.model_json_schema(), indent=2))


@app.command()
def drug(name: Annotated[str, typer.Argument(help="Generic name, synonym or class.")]) -> None:
    """Show the curated record of a drug. Exit code 1 when there is none."""
    from immunopath.cli.inspect import show_drug

    raise typer.Exit(0 if show_drug(name) else 1)


@models_app.command("list")
def models_list() -> None:
    """List every engine and whether it can run here."""
    from immunopath.cli.inspect import model_rows, show_table

    show_table(("role", "name", "licence", "state", "what"), model_rows())


@models_app.command("fetch")
def models_fetch(
    what: Annotated[list[str], typer.Argument(metavar="ID|ENGINE...", help="Hub ids or engines.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
) -> None:
    """Fetch weights, pin their commit and record their digests."""
    from immunopath.cli.models import fetch_all

    fetch_all(what, revision)


@models_app.command("verify")
def models_verify(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FOLDER|ENGINE]...", help="Default: all.")
    ] = None,
) -> None:
    """Read fetched weights again and compare them with their pins; exit code 1 if any differs."""
    from immunopath.cli.models import verify_all

    raise typer.Exit(0 if verify_all(what or []) else 1)


@models_app.command("probe")
def models_probe(
    engine: Annotated[str, typer.Argument(metavar="ENGINE", help="name[:id][,key=value…]")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="H&E with tissue.")],
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Result file (JSON).")] = None,
) -> None:
    """Say how much a predictor's answers depend on the image: real, blank and shuffled patches."""
    from immunopath.cli.models import probe_engine

    probe_engine(engine, images, mpp, out)


models_app.command("compare")(checkpoints.compare)
models_app.command("panel")(checkpoints.panel)


@guidelines_app.command("check")
def guidelines_check(
    vignettes: Annotated[Path, typer.Argument(help="A vignette file (YAML).")],
    as_of: Annotated[str | None, typer.Option(help="Date of the question, YYYY-MM-DD.")] = None,
) -> None:
    """Run vignettes through the engine; exit code 1 if one fails."""
    from immunopath.cli.inspect import show_table, vignette_rows

    rows, failed = vignette_rows(vignettes, _date(as_of))
    show_table(("id", "category", "result", "what failed"), rows)
    typer.echo(f"{len(rows) - failed} of {len(rows)} vignettes pass")
    raise typer.Exit(1 if failed else 0)


@atlas_app.command("build")
def atlas_build(
    manifest: Annotated[Path, typer.Argument(help="CSV or TSV: one image a row.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the atlas goes.")],
    embedder: Engine = None,
    index: Annotated[
        str | None, typer.Option(help="faiss.index_factory string, e.g. HNSW32. Default: exact.")
    ] = None,
) -> None:
    """Build an atlas from labelled images; images left out are listed."""
    from immunopath.cli.atlas import build

    build(manifest, out, embedder, index)


@atlas_app.command("search")
def atlas_search(
    image: Annotated[Path, typer.Argument(help="An H&E image.")],
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel.")] = None,
    atlas: Annotated[Path | None, typer.Option(help="Default: the shipped atlas.")] = None,
    embedder: Engine = None,
    k: Annotated[int, typer.Option(min=1, max=100, help="Neighbours to show.")] = 8,
) -> None:
    """Show the nearest reference patches of an image; exit code 3 when it is refused."""
    from immunopath.cli.atlas import search

    raise typer.Exit(EXIT_REFUSED if search(image, mpp, atlas, embedder, k) is None else 0)
