"""``immunopath train``: fine-tune a Gemma 3 image-text model on a cohort folder."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from immunopath.domain.words import counted


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML or TOML file.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Run folder; default: the file's.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last whole state of the run.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check configuration and cohort, train nothing.")
    ] = False,
) -> None:
    """Train a LoRA adapter on a cohort folder. The checkpoint carries its record."""
    from immunopath.training.lora.config_file import read_config

    chosen = read_config(config, {} if out is None else {"out": str(out)})
    if check:
        from immunopath.training.lora.cohort import checked_cohort

        cohort = checked_cohort(chosen)
        typer.echo(cohort.summary)
        for patient, reason in cohort.left_out.items():
            typer.echo(f"left out: {patient}: {reason}")
        return
    from immunopath.training.lora.run import train as run_training

    made = run_training(chosen, resume=resume, notify=_say)
    if made.best_step is None:
        kept = f"after {counted(made.steps, 'step')}; no validation patients"
    else:
        early = ", stopped early" if made.stopped_early else ""
        kept = f"of step {made.best_step} of {made.steps}{early}; validation {made.val_loss:.4f}"
    typer.echo(f"{made.folder}: {kept}")
    typer.echo(f"use it as --predictor {made.engine}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
