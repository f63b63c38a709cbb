"""The command line. Nothing heavy is imported until a command needs it."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from immunopath import __version__
from immunopath.cli.analyze import analyze
from immunopath.cli.app import page
from immunopath.cli.atlas import app as atlas_app
from immunopath.cli.calibrate import calibrate
from immunopath.cli.cohort import cohort
from immunopath.cli.cohort_data import app as cohort_data_app
from immunopath.cli.compare import compare
from immunopath.cli.doctor import doctor
from immunopath.cli.engines import app as models_app
from immunopath.cli.evaluate import evaluate
from immunopath.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED
from immunopath.cli.features import app as features_app
from immunopath.cli.guidelines import app as guidelines_app
from immunopath.cli.lookup import drug, schema
from immunopath.cli.mil import train as train_mil
from immunopath.cli.synthetic import synthetic
from immunopath.cli.tiles import tiles
from immunopath.cli.train import train
from immunopath.domain.errors import ImmunoPathError

app = typer.Typer(
    name="immunopath",
    help="Immune biomarkers of NSCLC from H&E images. Research use only.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for name, command in (
    ("analyze", analyze),
    ("cohort", cohort),
    ("app", page),
    ("tiles", tiles),
    ("synthetic", synthetic),
    ("train", train),
    ("train-mil", train_mil),
    ("calibrate", calibrate),
    ("evaluate", evaluate),
    ("compare", compare),
    ("doctor", doctor),
    ("schema", schema),
    ("drug", drug),
):
    app.command(name)(command)
for name, group in (
    ("models", models_app),
    ("atlas", atlas_app),
    ("guidelines", guidelines_app),
    ("features", features_app),
    ("cohort-data", cohort_data_app),
):
    app.add_typer(group, name=name)


def run() -> None:
    """Entry point: every error is one line on stderr; exit code 2 for input and options."""
    _stand_in_for_closed_streams()
    _never_choke_on_a_character()
    try:
        code = app(standalone_mode=False, prog_name="immunopath")
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
        if code == EXIT_INTERRUPTED:  # typer makes a number of Ctrl+C within a command
            _fail("interrupted", EXIT_INTERRUPTED)
        sys.exit(code or 0)


def _stand_in_for_closed_streams() -> None:
    """Python has no stream where one was closed: what is written then is lost and said to be."""
    if sys.stdout is None:  # what cannot be written to: no byte of a result gets lost in silence
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long as the process


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
    text = text.replace(". Did you mean ", "; did you mean ").rstrip("?")
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
