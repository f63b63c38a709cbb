"""``immunopath synthetic``: write a synthetic cohort with known truth."""

from collections.abc import Mapping
from pathlib import Path

import typer
from pydantic import ValidationError

from immunopath.domain.errors import CaseFileError
from immunopath.reporting.text import visible
from immunopath.training.synthetic import CAPTION
from immunopath.training.synthetic.cohort import CohortSettings
from immunopath.training.synthetic.folder import write_cohort


def write(folder: Path, values: Mapping[str, object], seed: int) -> None:
    """Write the cohort and say what it holds; raises `CaseFileError` for impossible settings."""
    try:
        settings = CohortSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise CaseFileError(f"synthetic cohort: {where}: {first['msg']}") from error
    if folder.exists() and any(folder.iterdir()):
        raise CaseFileError(f"{folder}: is not empty; name a new folder for the synthetic cohort")
    cohort = write_cohort(folder, settings, seed)
    counts = ", ".join(
        f"{name} {sum(s.split == name for s in cohort.samples)}"
        for name in ("train", "val", "test")
    )
    typer.echo(visible(f"{folder}: {len(cohort.samples)} patients ({counts})"))
    typer.echo(f"{len(cohort.tiles)} fields of {settings.size_px} px at {settings.mpp:g} µm/px")
    typer.echo(CAPTION)
