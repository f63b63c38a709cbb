"""``immunopath evaluate``: a predictor against truth, baselines and controls."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from immunopath.cli.options import OneDevice
from immunopath.domain.errors import InputError
from immunopath.domain.words import counted

if TYPE_CHECKING:
    from immunopath.training.evaluation.evaluate import Evaluation
    from immunopath.training.evaluation.resample import Plan
    from immunopath.training.samples import Split
    from immunopath.training.tile_source import Control


def evaluate(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    cohort: Annotated[Path, typer.Argument(help="Folder with samples.jsonl and tiles.parquet.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for everything measured.")],
    predictor: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE", help="name[:id][,key=value…], or constant, majority, clinical."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    controls: Annotated[
        str, typer.Option(help="Altered images to show as well; none switches them off.")
    ] = "blank,shuffled",
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]ENGINE", help="Another engine beside it; may be repeated."),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="Answers made before; may be repeated."),
    ] = None,
    free_text: Annotated[
        int, typer.Option(min=0, help="Patients to ask without a forced answer as well.")
    ] = 0,
    external: Annotated[
        bool,
        typer.Option("--external", help="The checkpoint never saw these patients or their sites."),
    ] = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Folder for validation.json. Default: that of the engine."),
    ] = None,
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of resamples and shuffled images.")] = 20261128,
    device: OneDevice = "cpu",
) -> None:
    """Measure a predictor beside baselines and controls. On patients with known truth."""
    from immunopath.training.evaluation.request import Request
    from immunopath.training.evaluation.resample import Plan
    from immunopath.training.evaluation.run import run

    result = run(
        Request(
            cohort=cohort,
            out=out,
            predictor=predictor,
            split=split_of(split),
            controls=controls_of(controls, predictor),
            engines=tuple(named_engine(text) for text in baseline or ()),
            files=tuple(named_file(text, predictor) for text in predictions or ()),
            device=device,
            free_texts=free_text,
            external=external,
            checkpoint=checkpoint,
            plan=Plan(draws, seed),
            notify=_notify,
        )
    )
    show(result.evaluation)
    if result.validation is not None:
        typer.echo(f"validation: {result.validation}")
    else:
        typer.echo(f"no validation written: {result.why_no_validation}")
    typer.echo(f"written to {out}")


def compare_evaluations(one: Path, other: Path, out: Path | None, plan: "Plan") -> None:
    """Show and write the paired differences of two folders that ``evaluate`` wrote."""
    from immunopath.cli.inspect import show_table
    from immunopath.domain.files import write_text
    from immunopath.reporting.text import visible
    from immunopath.training.evaluation.compare_runs import compare_runs, verdict
    from immunopath.training.evaluation.words import DIFFERENCES, SYNTHETIC, comparison_row

    found = compare_runs(one, other, plan)
    if found.origin == "synthetic":
        typer.echo(SYNTHETIC)
    typer.echo(visible(f"first: {found.one}"))
    typer.echo(visible(f"second: {found.other}"))
    typer.echo(f"{counted(found.n, 'patient')} of both, {found.left_out} of one alone left out")
    show_table(
        ("field", "metric", "n", "first", "second", "difference", "p", "p (Holm)", "better"),
        [(*comparison_row(d), verdict(d)) for d in found.differences],
    )
    typer.echo(DIFFERENCES)
    if out is not None:
        write_text(out, found.model_dump_json(indent=1) + "\n")


def split_of(text: str) -> "Split":
    """Return a split; raises `InputError` for another word."""
    from immunopath.training.samples import SPLITS

    for split in SPLITS:
        if split == text:
            return split
    raise InputError(f"--split {text}: choose {', '.join(SPLITS)}")


def controls_of(text: str, predictor: str | None) -> tuple["Control", ...]:
    """Return the controls of a comma-separated list; none where no engine is shown images."""
    from immunopath.training.evaluation.request import WITHOUT_IMAGE
    from immunopath.training.tile_source import PIXEL_CONTROLS

    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = sorted(set(words) - {*PIXEL_CONTROLS, "none"})
    if unknown or (len(words) > 1 and "none" in words):
        raise InputError(f"--controls {text}: choose of {', '.join(PIXEL_CONTROLS)}, or none")
    if predictor is None or predictor in WITHOUT_IMAGE:
        return ()
    return tuple(control for control in PIXEL_CONTROLS if control in words)


def named_engine(text: str) -> tuple[str, str]:
    """Return name and engine string of ``[NAME=]ENGINE``; without a name, that of the engine."""
    from immunopath.models.spec import EngineSpec
    from immunopath.training.evaluation.run import named

    name, rest = named(text)
    return name or EngineSpec.parse(rest).name, rest


def named_file(text: str, predictor: str | None) -> tuple[str, Path]:
    """Return name and path of ``[NAME=]FILE``.

    Without a name: the control whose answers it holds; else the predictor's own, when no engine
    is given; else the name of the engine that made it.
    """
    from immunopath.training.evaluation.request import MAIN
    from immunopath.training.evaluation.run import named
    from immunopath.training.predictions import read_predictions

    name, rest = named(text)
    if name is not None and not Path(text).exists():
        return name, Path(rest)
    found = read_predictions(Path(text))
    if found.control != "none":
        return found.control, Path(text)
    own = found.engine.partition(":")[0].partition(",")[0]
    return (MAIN if predictor is None else own), Path(text)


def show(found: "Evaluation") -> None:
    """Print one row per field and the alarm."""
    from immunopath.cli.inspect import show_table
    from immunopath.reporting.text import visible
    from immunopath.training.evaluation.words import (
        SYNTHETIC,
        facts,
        not_evaluable,
        summary_rows,
    )

    if found.origin == "synthetic":
        typer.echo(SYNTHETIC)
    for label, value in facts(found):
        typer.echo(visible(f"{label}: {value}"))
    headers, rows = summary_rows(found)
    if rows:
        show_table(headers, rows)
    for name, why in not_evaluable(found):
        typer.echo(visible(f"not evaluable: {name} ({why})"))
    for name, why in found.not_run.items():
        typer.echo(visible(f"not run: {name} ({why})"))
    for text in found.cautions:
        typer.echo(visible(f"caution: {text}"))
    typer.echo("COLLAPSE ALARM" if found.alarm.raised else "collapse alarm: not raised")
    for text in (*found.alarm.messages, *found.alarm.warnings):
        typer.echo(visible(f"  {text}"))


def _notify(text: str) -> None:
    import sys

    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text}\x1b[K")
