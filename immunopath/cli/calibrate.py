"""``immunopath calibrate``: from answers on validation patients to ``calibration.json``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from immunopath.domain.words import counted

if TYPE_CHECKING:
    from immunopath.models.calibration import Calibrator, FieldCalibration


def calibrate(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    predictions: Annotated[Path, typer.Argument(help="Answers on the split (JSON).")],
    samples: Annotated[Path, typer.Option(help="Table of patients, samples.jsonl.")],
    checkpoint: Annotated[Path, typer.Option(help="Folder of the checkpoint that answered.")],
    split: Annotated[str, typer.Option(help="Only val: train and test are refused.")] = "val",
    coverage: Annotated[float, typer.Option(help="Of sets and intervals, 0.5 to 0.99.")] = 0.9,
    method: Annotated[
        str, typer.Option(help="auto, temperature, or isotonic (binary fields).")
    ] = "auto",
    sets: Annotated[str, typer.Option(help="Prediction sets: lac or aps.")] = "lac",
    intervals: Annotated[str, typer.Option(help="Of numbers: cqr or residual.")] = "cqr",
    min_class: Annotated[
        int, typer.Option(min=2, help="Least patients of every value of a field.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Of the division of the patients.")] = 0,
) -> None:
    """Calibrate a checkpoint on its answers to validation patients."""
    from immunopath.domain.files import require_place
    from immunopath.models.calibration import FILE, write_calibrator
    from immunopath.training.calibration.calibrate import fit_calibrator, require_checkpoint
    from immunopath.training.calibration.checkpoint import digest_of, require_folder
    from immunopath.training.calibration.fit import options_of

    asked: dict[str, Any] = {
        "coverage": coverage,
        "method": method,
        "sets": sets,
        "intervals": intervals,
        "min_class": min_class,
        "seed": seed,
    }
    require_folder(checkpoint)
    require_place(checkpoint / FILE)
    found = fit_calibrator(predictions, samples, split, options_of(asked), checkpoint)
    digest = digest_of(checkpoint)
    require_checkpoint(found, digest, checkpoint)
    show(found)
    path = write_calibrator(found, checkpoint)
    known = "" if digest else "; the predictor checks that it is its own when it loads it"
    typer.echo(f"{path}: written, of checkpoint {found.checkpoint[:12]}{known}")


def show(found: "Calibrator") -> None:
    """Print one row per field."""
    from immunopath.cli.inspect import show_table

    typer.echo(
        f"{counted(found.n, 'patient')} of {found.split} ({', '.join(found.origins)}), "
        f"coverage {found.coverage:g}; calibration errors on patients that the correction has not "
        "seen, at best: of tables that tell the truth"
    )
    typer.echo(found.stop_text)
    rows = [_row(entry) for entry in found.fields if entry.evaluable]
    if rows:
        show_table(("field", "n", "table", "before", "after", "at best", "set"), rows)
    else:
        typer.echo("No field could be calibrated: tables stay as they are, without sets.")
    for entry in found.fields:
        if not entry.evaluable:
            counts = ", ".join(f"{value} {n}" for value, n in entry.counts.items())
            typer.echo(
                f"{entry.field}: not evaluable: {entry.reason}"
                + (f" (labels: {counts})" if counts else "")
            )


def _row(entry: "FieldCalibration") -> tuple[str, ...]:
    how = f"T {entry.temperature:.2f}" if entry.temperature else "isotonic"
    errors = (entry.error_before, entry.error_after, entry.error_expected)
    return (
        entry.field,
        f"{entry.n_fit} + {entry.n_conformal}",
        how,
        *("" if error is None else f"{error:.3f}" for error in errors),
        f"{entry.set_method} {entry.threshold:.3f}",
    )
