"""``immunopath guidelines``: explain a case, check vignettes, lint and review the knowledge."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from immunopath.cli.dates import as_of_date
from immunopath.cli.options import AsOf
from immunopath.cli.output import write_json, write_out
from immunopath.domain.words import counted

if TYPE_CHECKING:
    from immunopath.guidelines.check import Aspect, VignetteResult

app = typer.Typer(help="The guideline knowledge.", no_args_is_help=True)

ASPECTS = ("category", "rule", "regimens", "tests", "flags", "must_not")
"""Columns of ``check``; the three expectations about regimens share one."""


@app.command()
def explain(
    case: Annotated[Path, typer.Argument(help="A clinical case, or a vignette file (YAML).")],
    as_of: AsOf = None,
    vignette: Annotated[str | None, typer.Option(help="Id of one entry of the file.")] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH|-", help="Write it as JSON.")
    ] = None,
) -> None:
    """Show the way to the guidance of a case. Stages, rules, what is missing, what would change."""
    from rich.console import Console

    from immunopath.guidelines.explain import explain as explained
    from immunopath.guidelines.explain import load_case
    from immunopath.reporting.guidance_tree import ExplanationReport

    stated = load_case(case, vignette)
    found = explained(stated, as_of=as_of_date(as_of))
    if json_path is not None:
        _spare(case, json_path)
        write_json(found.model_dump(mode="json"), json_path)
    if json_path != "-":
        Console().print(ExplanationReport(found, stated.clinical))


def _spare(given: Path, target: str) -> None:
    """Raise `OutputError` when the output names the input."""
    from immunopath.domain.errors import OutputError

    if target != "-" and Path(target).resolve() == given.resolve():
        raise OutputError(f"{target}: is named twice; give the output a file of its own")


@app.command()
def check(
    vignettes: Annotated[Path, typer.Argument(help="A vignette file (YAML).")],
    as_of: AsOf = None,
) -> None:
    """Run vignettes through the engine, aspect by aspect. Exit code 1 if one fails."""
    from immunopath.cli.inspect import show_table
    from immunopath.guidelines.check import check_file

    results = check_file(vignettes, as_of=as_of_date(as_of))
    rows = [(r.id, *_cells(r), str(r.category.value)) for r in results]
    show_table(("id", *(a.replace("_", " ") for a in ASPECTS), "engine says"), rows)
    for line in _failures(results):
        typer.echo(line)
    for aspect in ASPECTS:
        typer.echo(_total(results, aspect))
    failed = sum(not result.passed for result in results)
    typer.echo(
        f"{len(results) - failed} of {counted(len(results), 'vignette passes', 'vignettes pass')}"
    )
    raise typer.Exit(1 if failed else 0)


def _of(result: "VignetteResult", column: str) -> "list[Aspect]":
    return [a for a in result.aspects if a.name == column or a.name.startswith(f"{column}_")]


def _cells(result: "VignetteResult") -> tuple[str, ...]:
    """Return ok, FAIL or - (nothing was expected) for each aspect."""
    found = (_of(result, column) for column in ASPECTS)
    return tuple(("ok" if all(a.passed for a in f) else "FAIL") if f else "-" for f in found)


def _failures(results: "Sequence[VignetteResult]") -> Iterator[str]:
    from immunopath.reporting.text import visible

    for result in results:
        for aspect in result.aspects:
            if not aspect.passed:
                yield visible(f"{result.id} {aspect.name}: {aspect.detail}")


def _total(results: "Sequence[VignetteResult]", column: str) -> str:
    expected = [found for result in results if (found := _of(result, column))]
    passed = sum(all(aspect.passed for aspect in found) for found in expected)
    return f"{column.replace('_', ' ')}: {passed} of {len(expected)} pass"


@app.command("review-sheet")
def review_sheet(
    out: Annotated[str, typer.Option("-o", "--out", metavar="PATH|-", help="Where it goes.")],
) -> None:
    """Write the sign-off sheet (CSV). One row per rule and per regimen."""
    from immunopath.guidelines.review import review_sheet as sheet

    write_out(sheet(), out)
    if out != "-":
        typer.echo(f"{out}: written; a reviewer fills in the last four columns")


@app.command()
def lint(
    grid_step: Annotated[
        int, typer.Option(min=1, help="Look at every n-th cell of the grids; 1 is exhaustive.")
    ] = 1,
) -> None:
    """Check the knowledge files. Exit code 1 if there is a problem."""
    from immunopath.cli.inspect import show_table
    from immunopath.guidelines.lint import CHECKS, skipped, waiting
    from immunopath.guidelines.lint import lint as linted

    problems = linted(grid_step=grid_step)
    not_run = skipped() | waiting(problems)
    count = Counter(problem.check for problem in problems)
    rows = [
        (name, _state(count[name], not_run.get(name)), meaning) for name, meaning in CHECKS.items()
    ]
    show_table(("check", "result", "what it holds"), rows)
    if problems:
        typer.echo("")
        found = [(p.check, p.file, p.record or "-", p.message) for p in problems]
        show_table(("check", "file", "record", "problem"), found)
    typer.echo(f"{len(problems)} problems in {len(CHECKS)} checks")
    raise typer.Exit(1 if problems else 0)


def _state(count: int, why_not: str | None) -> str:
    if count:
        return f"{count} found"
    return f"not run: {why_not}" if why_not else "ok"
