"""``immunopath compare``: two runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from immunopath.domain.words import counted

if TYPE_CHECKING:
    from immunopath.training.evaluation.cohort_runs import RunComparison
    from immunopath.training.evaluation.resample import Estimate

SHOWN = 20
EACH_BY_ITSELF = (
    "Every interval is a 95 % one of its row alone, not of all rows together: the more rows, the "
    "more likely that one of them misses."
)


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of cohort or evaluate.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="That of another run.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Result file (JSON).")] = None,
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 20261128,
) -> None:
    """Compare two runs patient by patient. Intervals are of a paired bootstrap.

    Of two cohorts: changed calls and recommendations. Of two evaluations: every metric.
    """
    from immunopath.cli.evaluate import compare_evaluations
    from immunopath.cli.output import spare_run
    from immunopath.domain.files import require_place, write_text
    from immunopath.training.evaluation.cohort_runs import compare_runs, read_run
    from immunopath.training.evaluation.resample import Plan

    plan = Plan(draws, seed)
    if out is not None:
        for run in (run_a, run_b):
            spare_run(run, out)
        require_place(out)
    if not (run_a / "records").is_dir() and not (run_b / "records").is_dir():
        compare_evaluations(run_a, run_b, out, plan)
        return
    found = compare_runs(read_run(run_a), read_run(run_b), plan)
    if out is not None:
        write_text(out, found.model_dump_json(indent=1) + "\n")
    _show(found)


def _show(found: "RunComparison") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from immunopath.reporting.text import visible
    from immunopath.reporting.words import FIELD_NAMES

    console = Console()
    table = Table(
        title=f"{counted(found.n, 'case')} with a report in both runs", title_justify="left"
    )
    for head in ("field", "changed (95 %)", "mean B - A (95 %)"):
        table.add_column(head)
    for row in found.fields:
        change = _words(row.difference) if row.difference else row.why_not
        table.add_row(FIELD_NAMES[row.field], _words(row.changed), change)
    for name, share in found.recommendations.items():
        table.add_row(name.replace("_", " "), _words(share), "")
    console.print(table)
    console.print(EACH_BY_ITSELF)
    for case in found.cases[:SHOWN]:
        changes = "; ".join(
            f"{FIELD_NAMES.get(key, key.replace('_', ' '))}: {_change(a, b)}"
            for key, (a, b) in case.changes.items()
        )
        console.print(Text(visible(f"{case.case_id}: {changes}")))
    if len(found.cases) > SHOWN:
        console.print(
            f"… and {counted(len(found.cases) - SHOWN, 'more changed case')} (--out has all)"
        )
    left = sorted({*found.only_a, *found.only_b})
    if left:
        more = f", … and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        names = f"{', '.join(left[:SHOWN])}{more}"
        console.print(
            Text(visible(f"not compared, in one run only or without a report in one: {names}"))
        )


def _change(a: str, b: str) -> str:
    """Return what a call became; numbers with three digits where these tell them apart."""
    short = [_short(text) for text in (a, b)]
    return " -> ".join(short if short[0] != short[1] else (a, b))


def _short(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text


def _words(value: "Estimate") -> str:
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
