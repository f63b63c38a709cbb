"""What ``immunopath train-mil`` does and shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import typer

from immunopath.cli.inspect import show_table
from immunopath.domain.errors import EngineSpecError, EngineUnavailable
from immunopath.domain.words import counted
from immunopath.models.mil.record import EXTERNAL
from immunopath.models.registry import EMBEDDED, check_spec
from immunopath.models.spec import EngineSpec
from immunopath.training.mil.features import are_imported
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import Means, Plan, make_plan, train_mil

if TYPE_CHECKING:
    from immunopath.training.mil.fit import Epoch

_EVERY: int = 20
"""Epochs and percent between two lines of progress."""


@dataclass(frozen=True)
class Request:
    """The command's options; `values`: of `MilSettings`."""

    cohort: Path
    out: Path
    embedder: str | None
    values: Mapping[str, object]
    features: Path | None
    workers: int
    device: str


def run(request: Request) -> None:
    """Check, embed, fit, write; progress goes to stderr, the table of fields to stdout."""
    embedder = _embedder(request)
    settings = MilSettings.make(dict(request.values))
    plan = make_plan(request.cohort, embedder, settings)
    means = Means(
        features=request.features,
        workers=request.workers,
        device=request.device,
        on_tiles=_Tiles().show,
        on_epoch=_show_epoch,
    )
    started = perf_counter()
    try:
        train_mil(plan, request.out, means)
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"training needs the package {error.name!r}: pip install 'immunopath[foundation,train]'"
        ) from error
    _show_fields(plan)
    typer.echo(
        f"{counted(len(plan.train), 'patient')} trained on in "
        f"{perf_counter() - started:.0f} s; use it with "
        f"--predictor mil:{request.out}"
    )


def _embedder(request: Request) -> str:
    """Return the engine string, or `EXTERNAL` when the vectors named were imported."""
    given = request.features
    if given is not None and given.is_file() and are_imported(given):
        if request.embedder is not None:
            raise EngineSpecError(
                f"--embedder {request.embedder}: the vectors in {given} were imported and are of "
                "their own encoder; leave the option out"
            )
        return EXTERNAL
    embedder = request.embedder or EMBEDDED
    check_spec("embedder", EngineSpec.parse(embedder))
    return embedder


class _Tiles:
    """Says every `_EVERY` percent how many tiles are embedded."""

    def __init__(self) -> None:
        self._said = 0

    def show(self, done: int, total: int) -> None:
        percent = 100 * done // total
        if percent >= self._said + _EVERY or done == total:
            self._said = percent
            typer.echo(f"embedded {done} of {counted(total, 'tile')}", err=True)


def _show_epoch(epoch: "Epoch") -> None:
    if epoch.epoch % _EVERY == 0:
        typer.echo(
            f"member {epoch.member} epoch {epoch.epoch}: train {epoch.train_loss:.4f} "
            f"val {epoch.val_loss:.4f}",
            err=True,
        )


def _show_fields(plan: Plan) -> None:
    show_table(
        ("field", "labels", "trained", "why not"),
        [
            (name, str(field.n), "yes" if field.trainable else "no", field.reason)
            for name, field in plan.fields.items()
        ],
    )
