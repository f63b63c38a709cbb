"""The command line. Nothing heavy is imported until a command needs it."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from immunopath import __version__
from immunopath.cli import app as page
from immunopath.cli import calibrate, cohort, compare, evaluate
from immunopath.cli.cohort_data import app as cohort_data_app
from immunopath.cli.dates import as_of_date
from immunopath.cli.engines import app as models_app
from immunopath.cli.features import app as features_app
from immunopath.cli.guidelines import app as guidelines_app
from immunopath.cli.mil import register as register_mil
from immunopath.cli.synthetic import synthetic
from immunopath.cli.train import train
from immunopath.domain.errors import ImmunoPathError

EXIT_ERROR = 2
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="immunopath",
    help="Immune biomarkers of NSCLC from H&E images. Research use only.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
atlas_app = typer.Typer(help="Reference atlases for retrieval.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(atlas_app, name="atlas")
app.add_typer(guidelines_app, name="guidelines")
app.add_typer(features_app, name="features")
calibrate.register(app)
cohort.register(app)
compare.register(app)
evaluate.register(app)
page.register(app)
register_mil(app)
app.command("train")(train)
app.command("synthetic")(synthetic)
app.add_typer(cohort_data_app, name="cohort-data")


def run() -> None:
    """Entry point: every error is one line on stderr; exit code 2 for input and options."""
    _never_choke_on_a_character()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except ImmunoPathError as error:
        _fail(str(error), EXIT_ERROR)
    except typer.TyperException as error:
        _wrong_words(error)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", EXIT_INTERRUPTED)
    except MemoryError:
        _fail("out of memory; give it less at a time, or a machine with more", EXIT_ERROR)
    except OSError as error:
        _lost_output(error)
    else:
        sys.exit(code or 0)


def _never_choke_on_a_character() -> None:
    """An ASCII terminal shows a question mark for what it cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _lost_output(error: OSError) -> NoReturn:
    """Say that stdout could not be written, e.g. to a full disk; a closed pipe is no fault."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - nothing may be flushed at exit
    if isinstance(error, BrokenPipeError):
        sys.exit(EXIT_ERROR)
    _fail(f"the output could not be written ({error.strerror or error})", EXIT_ERROR)


def _fail(message: str, code: int) -> NoReturn:
    from immunopath.reporting.text import visible

    sys.stderr.write(f"immunopath: {visible(message)}\n")
    sys.exit(code)


def _wrong_words(error: typer.TyperException) -> NoReturn:
    """Name the fault of a command line and where its options are listed."""
    text = error.format_message()
    if "\n" in text:  # a group of commands called bare answers with its help
        typer.echo(text)
        sys.exit(0)
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "immunopath"
    _fail(f"{text.rstrip('.')}; see '{where} --help'", error.exit_code)


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
    sampling_rounds: Annotated[
        int | None, typer.Option(help="Further rounds of reading a slide, 0 to 5. Default: 2.")
    ] = None,
    sampling_regions: Annotated[
        int | None, typer.Option(help="Regions of all further rounds together. Default: 12.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="Date of the question, YYYY-MM-DD.")] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH|-", help="Write the report as JSON.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
    md: Annotated[Path | None, typer.Option(help="Write Markdown.")] = None,
    fhir: Annotated[Path | None, typer.Option(help="Write a FHIR R4B bundle.")] = None,
    nuclei: Annotated[Path | None, typer.Option(help="Write nuclei as QuPath GeoJSON.")] = None,
    tiles: Annotated[Path | None, typer.Option(help="Write tiles as QuPath GeoJSON.")] = None,
    anndata: Annotated[
        Path | None, typer.Option(help="Write tiles and embeddings as AnnData (.h5ad).")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No report on the terminal.")] = False,
) -> None:
    """Analyse the images of one case. Exit code 3 when they were refused."""
    from immunopath.cli.analyze import Outputs, Request, analyze_case
    from immunopath.pipeline.side_files import SideFiles

    engines = {
        "profile": profile,
        "predictor": predictor,
        "phenotype": phenotype,
        "embedder": embedder,
        "drugs": drugs,
        "atlas": None if atlas is None else str(atlas),
        "device": device,
        "sampling_rounds": sampling_rounds,
        "sampling_regions": sampling_regions,
    }
    request = Request(tuple(images), mpp, clinical, case_id, patient_id, config, engines)
    beside = SideFiles(nuclei=nuclei, tiles=tiles, anndata=anndata)
    outputs = Outputs(json_path, html, md, fhir, beside, quiet)
    raise typer.Exit(analyze_case(request, outputs, as_of_date(as_of)))


@app.command()
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
    """Cut slides into tiles. Exit code 3 when one holds no tissue, 2 when one is unreadable."""
    from immunopath.cli.tiles import tile, tiling_settings
    from immunopath.domain.units import checked_mpp

    settings = tiling_settings(
        rules={"target_mpp": target_mpp, "size_px": size, "min_tissue": min_tissue},
        max_tiles=max_tiles,
        clusters=clusters,
        normalise=normalise,
        image_format=image_format,
        seed=seed,
    )
    stated = None if mpp is None else checked_mpp(mpp)
    raise typer.Exit(tile(slides, out, settings, (stated, slide_folder), workers))


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
