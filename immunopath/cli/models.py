"""``immunopath models fetch|verify|probe``: checkpoints before a case needs them."""

from collections.abc import Sequence
from pathlib import Path

import typer

from immunopath.cli.inspect import show_table
from immunopath.domain.errors import EngineSpecError, InputError
from immunopath.domain.files import require_place
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.units import checked_mpp
from immunopath.domain.words import counted
from immunopath.imaging.intake import take_in
from immunopath.imaging.tiles import TileStore
from immunopath.models.foundation.fetch import FileState, fetch, pinned_repos, verify
from immunopath.models.foundation.medgemma.probe import Estimate, ProbeResult
from immunopath.models.foundation.pins import state_folder
from immunopath.models.foundation.sources import patterns_for, sources_of
from immunopath.models.foundation.weights import Source, is_folder
from immunopath.models.registry import ROLES, check_spec
from immunopath.models.spec import EngineSpec

MIB = 1024**2


def fetch_all(wanted: Sequence[str], revision: str | None) -> None:
    """Fetch hub ids or everything behind engine strings, pin them, and say what to carry."""
    rows = []
    if revision is not None and len(wanted) > 1:
        raise InputError(f"--revision {revision}: goes with one repository; fetch them one by one")
    for source in dict.fromkeys(s for text in wanted for s in _sources(text, revision)):
        name = source.name
        if is_folder(name):
            rows.append((name, "-", "local folder", "nothing to fetch"))
            continue
        got = fetch(name, source.revision, source.patterns)
        size = f"{got.size / MIB:.1f} MiB"
        rows.append(
            (name, got.pin.revision, f"{counted(len(got.pin.files), 'file')}, {size}", "pinned")
        )
    show_table(("repository", "commit", "what", "state"), rows)
    typer.echo(f"To work offline elsewhere carry {state_folder().parent} and set HF_HOME to it.")


def verify_all(wanted: Sequence[str]) -> bool:
    """Read every file again; returns whether all are as pinned (folders: whole).

    Raises `InputError` where there is no file to read: nothing was verified then.
    """
    named = [(s.name, s.revision) for text in wanted for s in _sources(text)]
    asked = named if wanted else [(repo, None) for repo in pinned_repos()]
    states = [state for source in dict.fromkeys(asked) for state in _verified(*source)]
    if not states:
        raise InputError("nothing was fetched here; see 'immunopath models fetch --help'")
    show_table(
        ("source", "file", "state", "SHA-256"),
        [(s.source, s.name, s.state, s.sha256[:16]) for s in states],
    )
    return all(state.state in {"ok", "not pinned"} for state in states)


def _verified(source: str, revision: str | None) -> list[FileState]:
    states = verify(source, revision)
    if not states:
        raise InputError(f"{source}: holds no file of a checkpoint; name the folder of one")
    return states


def probe_engine(
    engine: str, images: Sequence[Path], mpp: float | None, out: Path | None, device: str = "cpu"
) -> Path | None:
    """Probe a predictor on images, print the table and keep the result; returns its file."""
    spec = EngineSpec.parse(engine)
    check_spec("predictor", spec)
    if out is not None:
        require_place(out)
    stores = []
    for image in images:
        store = TileStore()
        intake = take_in([image], None if mpp is None else checked_mpp(mpp), store)
        if not intake.usable:
            raise InputError(f"{image.name}: refused ({intake.reason}); probe on H&E with tissue")
        stores.append(store)
    result, path = _probed(spec, stores, out, device)
    _show(result)
    typer.echo("not kept: name a file with --out" if path is None else f"kept in {path}")
    return path


def _probed(
    spec: EngineSpec, stores: Sequence[TileStore], out: Path | None, device: str
) -> tuple[ProbeResult, Path | None]:
    if spec.name == "medgemma":
        from immunopath.models.foundation.medgemma.medgemma_probe import probe_predictor

        return probe_predictor(spec, stores, out, device)
    from immunopath.models.foundation.case_probe import probe_cases

    return probe_cases(spec, stores, out, device)


def _show(result: ProbeResult) -> None:
    rows = [
        (
            field.key,
            _text(field.blank),
            _text(field.shuffled),
            _text(field.between),
            _text(field.log_blank),
            field.verdict + (", one value throughout" if field.constant else ""),
        )
        for field in result.fields
    ]
    show_table(("field", "TV blank", "TV shuffled", "TV between", "Δlog p blank", "image"), rows)
    silent = [key for key in FIELD_VALUES if key not in {field.key for field in result.fields}]
    if silent:
        typer.echo(f"without any answer, so not compared: {', '.join(silent)}")
    typer.echo(
        f"{counted(result.n_units, 'prompt or tile', 'prompts or tiles')}; total "
        "variation with 95 % interval; below "
        f"{result.limit:g} counts as unchanged. The predictor as a whole: {result.verdict}"
    )


def _text(value: Estimate) -> str:
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"


def _sources(text: str, revision: str | None = None) -> tuple[Source, ...]:
    """Return what a hub id, a folder or an engine string means; `revision` is that of a hub id."""
    spec = None
    if "/" not in text.partition(":")[0] and not Path(text).is_dir():
        spec = EngineSpec.parse(text)
    if spec is None:
        return (Source(text, patterns_for(text), revision),)
    if revision is not None:
        raise EngineSpecError(
            f"--revision {revision}: goes with a hub id; in {text!r} write revision= (and "
            "adapter_revision=) into the engine string"
        )
    for role in ROLES:
        try:
            check_spec(role, spec)
        except EngineSpecError:
            continue
        found = sources_of(role, spec)
        if found:
            return found
    raise EngineSpecError(
        f"{text!r}: is neither a hub id (owner/name), a folder, nor an engine that has weights to "
        "fetch; see 'immunopath models list'"
    )
