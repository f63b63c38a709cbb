"""``immunopath analyze``: the options. Nothing heavy is imported until the command runs."""

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
    HeatWorkers,
    Profile,
    SamplingRegions,
    SamplingRounds,
)


def analyze(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="H&E of one case.")],
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel of the images.")] = None,
    clinical: Annotated[Path | None, typer.Option(help="Measured clinical facts (YAML).")] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,W,H", help="Read this region only, level-0 pixels; may be repeated."
        ),
    ] = None,
    case_id: Annotated[str | None, typer.Option(help="Default: the first image's name.")] = None,
    patient_id: Annotated[str | None, typer.Option(help="Left out of retrieval.")] = None,
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
    heat_workers: HeatWorkers = None,
    as_of: AsOf = None,
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
    heat_geojson: Annotated[
        Path | None, typer.Option(help="Write the heat as QuPath GeoJSON; asks for --heat.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No report on the terminal.")] = False,
) -> None:
    """Analyse the images of one case. Exit code 3 when they were refused."""
    from immunopath.cli.analyze_run import Outputs, Request, analyze_case
    from immunopath.pipeline.side_files import SideFiles

    engines = {
        "profile": profile,
        "predictor": predictor,
        "phenotype": phenotype,
        "embedder": embedder,
        "drugs": drugs,
        "atlas": atlas,
        "device": device,
        "sampling_rounds": sampling_rounds,
        "sampling_regions": sampling_regions,
        "heat": True if heat is None and heat_geojson is not None else heat,
        "heat_tiles": heat_tiles,
    }
    facts = (clinical, case_id, patient_id, config)
    regions = tuple(region or ())
    request = Request(tuple(images), mpp, *facts, engines, regions, heat_workers)
    beside = SideFiles(nuclei=nuclei, tiles=tiles, anndata=anndata, heat=heat_geojson)
    outputs = Outputs(json_path, html, md, fhir, beside, quiet)
    raise typer.Exit(analyze_case(request, outputs, as_of_date(as_of)))
