"""``immunopath synthetic``: write a synthetic cohort with known truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from immunopath.domain.errors import CaseFileError
from immunopath.domain.words import counted


def synthetic(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    folder: Annotated[Path, typer.Argument(help="A new folder for the cohort.")],
    patients: Annotated[int, typer.Option(help="How many.")] = 120,
    tiles: Annotated[int, typer.Option(help="Fields a patient.")] = 4,
    size: Annotated[int, typer.Option(help="Side of a field in pixels.")] = 224,
    mpp: Annotated[float, typer.Option(help="Micrometres per pixel.")] = 1.0,
    noise: Annotated[float, typer.Option(help="Of the labels; 1 = as large as the signal.")] = 0.3,
    sites: Annotated[int, typer.Option(help="Laboratories.")] = 6,
    site_effect: Annotated[float, typer.Option(help="Difference of their colours, 0 to 2.")] = 1.0,
    site_bias: Annotated[float, typer.Option(help="1 = the site decides the patients.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
) -> None:
    """Draw a synthetic cohort: no tissue, known truth. For tests and benchmarks only."""
    values = {
        "patients": patients, "tiles": tiles, "size_px": size, "mpp": mpp, "noise": noise,
        "sites": sites, "site_effect": site_effect, "site_bias": site_bias,
    }  # fmt: skip
    write(folder, values, seed)


def write(folder: Path, values: Mapping[str, object], seed: int) -> None:
    """Write the cohort and say what it holds; raises `CaseFileError` for impossible settings."""
    from pydantic import ValidationError

    from immunopath.domain.base import fault_of
    from immunopath.domain.files import require_place
    from immunopath.reporting.text import visible
    from immunopath.training.samples import SAMPLES, SPLITS
    from immunopath.training.synthetic import CAPTION
    from immunopath.training.synthetic.cohort import CohortSettings
    from immunopath.training.synthetic.folder import write_cohort

    try:
        settings = CohortSettings.model_validate(values)
    except ValidationError as error:
        raise CaseFileError(f"synthetic cohort: {fault_of(error, 'settings')}") from error
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CaseFileError(f"{folder}: is not an empty folder; name a new one for the cohort")
    require_place(folder / SAMPLES)
    cohort = write_cohort(folder, settings, seed)
    counts = ", ".join(f"{name} {sum(s.split == name for s in cohort.samples)}" for name in SPLITS)
    typer.echo(visible(f"{folder}: {counted(len(cohort.samples), 'patient')} ({counts})"))
    typer.echo(
        f"{counted(len(cohort.tiles), 'field')} of {settings.size_px} px at {settings.mpp:g} µm/px"
    )
    typer.echo(CAPTION)
