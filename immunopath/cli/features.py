"""``immunopath features``: vectors of other programs in, and a head's answers on vectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from immunopath.domain.errors import EngineSpecError, InputError, first_few
from immunopath.domain.words import counted

if TYPE_CHECKING:
    from immunopath.training.imports.vectors import Maker

app = typer.Typer(
    help="Patch features made elsewhere: TRIDENT, CLAM, AnnData.", no_args_is_help=True
)


@app.command("import")
def import_(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="Folder with samples.jsonl.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help=".h5 and .h5ad files.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Cohort folder to make. Default: COHORT.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Name of what made the vectors.")] = None,
    revision: Annotated[str | None, typer.Option(help="Its revision or commit.")] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="An embedder here that is the same encoder."),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel of what the encoder was shown.")
    ] = None,
    px: Annotated[int | None, typer.Option(min=16, help="Side of a patch there.")] = None,
    level0_px: Annotated[
        int | None, typer.Option(min=1, help="Side of a patch in level-0 pixels.")
    ] = None,
    patches: Annotated[
        Path | None, typer.Option(help="CLAM's folder of coordinates (patches).")
    ] = None,
    slide_key: Annotated[
        str | None, typer.Option(help="Column of obs that names the slide (AnnData).")
    ] = None,
    spatial: Annotated[
        str, typer.Option(help="What obsm['spatial'] is of a patch: centre or corner.")
    ] = "centre",
) -> None:
    """Import vectors for 'train-mil --features'. The encoder is recorded as declared."""
    from immunopath.domain.files import require_file
    from immunopath.domain.units import checked_mpp
    from immunopath.training.imports.reading import Reading, read_all
    from immunopath.training.imports.store import Declared, import_features, require_free
    from immunopath.training.samples import SAMPLES

    if spatial not in {"centre", "corner"}:
        raise InputError(f"--spatial {spatial}: choose centre or corner")
    stated = None if mpp is None else checked_mpp(mpp)
    declared = Declared(_maker(encoder, revision, engine), stated, px, level0_px)
    how = Reading(
        patches=patches,
        slide_key=slide_key,
        spatial="corner" if spatial == "corner" else "centre",
        level0_px=level0_px,
    )
    require_free(out or cohort)
    require_file(cohort / SAMPLES, f"a table of samples ({SAMPLES})")
    done = import_features(cohort, read_all(files, how), declared, out or cohort)
    typer.echo(
        f"{counted(done.slides, 'slide')}, {counted(done.tiles, 'vector')} of "
        f"{counted(done.patients, 'patient')}, patches of "
        f"{done.px} px at {done.mpp:g} µm/px; encoder as declared: {done.encoder}"
    )
    if done.empty:
        typer.echo(
            f"{counted(len(done.empty), 'slide')} without a patch: {_some(done.empty)}", err=True
        )
    if done.bare:
        typer.echo(
            f"{counted(len(done.bare), 'patient')} without a vector: {_some(done.bare)}", err=True
        )
    folder = done.folder
    typer.echo(f"use: immunopath train-mil {folder} --features {folder}/features.safetensors")


@app.command()
def predict(
    head: Annotated[Path, typer.Argument(help="Folder that 'train-mil' wrote.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder with vectors of the same kind.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File of answers (JSON).")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    features: Annotated[
        Path | None, typer.Option(help="File of vectors. Default: COHORT/features.safetensors.")
    ] = None,
) -> None:
    """Ask a head about stored vectors. For 'evaluate --predictions' and 'calibrate'."""
    from immunopath.cli.evaluate import split_of
    from immunopath.domain.files import require_place
    from immunopath.training.mil.features import FILE
    from immunopath.training.mil.predict import predict_cohort
    from immunopath.training.predictions import write_predictions

    require_place(out)
    found = predict_cohort(head, cohort, split_of(split), features=features or cohort / FILE)
    write_predictions(out, found)
    typer.echo(f"{counted(len(found.answers), 'patient')} answered, written to {out}")


def _maker(encoder: str | None, revision: str | None, engine: str | None) -> "Maker | None":
    """Return what the user says of the encoder; half a name is refused."""
    from immunopath.training.imports.reading import maker_of_engine
    from immunopath.training.imports.vectors import Maker

    if engine is not None:
        if encoder is not None or revision is not None:
            raise EngineSpecError("--engine names encoder and revision; leave those out")
        return maker_of_engine(engine)
    if (encoder is None) != (revision is None):
        raise EngineSpecError("name --encoder and --revision together: one alone is no encoder")
    return None if encoder is None or revision is None else Maker(encoder, revision)


def _some(names: tuple[str, ...]) -> str:
    from immunopath.reporting.text import visible

    return visible(first_few(names))
