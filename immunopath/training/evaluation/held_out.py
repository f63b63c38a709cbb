"""What an evaluation may be taken on: nobody whom an asked checkpoint was made from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from immunopath.domain.errors import InputError
from immunopath.models.calibration import FILE as CALIBRATION
from immunopath.models.spec import EngineSpec
from immunopath.models.validation import SYNTHETIC
from immunopath.training.evaluation.cards import NO_EXTERNAL
from immunopath.training.evaluation.request import MAIN, WITHOUT_IMAGE, Request
from immunopath.training.predictions import PredictionSet
from immunopath.training.samples import Sample
from immunopath.training.seen import (
    read_seen,
    require_external,
    require_uncalibrated,
    require_unseen,
)

UNTRAINED: Final = frozenset({*WITHOUT_IMAGE, "embedded"})
"""Engines whose answers rest on no checkpoint."""
_UNNAMED: Final = (
    "--external: answers from a file do not say whom their checkpoint was made from; name its "
    "folder with --checkpoint"
)


def require_held_out(request: Request, samples: Sequence[Sample], scored: Sequence[Sample]) -> None:
    """Raise `LeakageError` for `scored` patients whom a checkpoint or its calibration has seen.

    And `InputError` for a claim of external validation that can be refuted, see
    `seen.require_external`; samples: the whole table.
    """
    own = checkpoints_of(request.predictor)
    own += [] if request.checkpoint is None else [request.checkpoint]
    if request.external:
        _require_claim(request, scored, own)
    others = [folder for _, text in request.engines for folder in checkpoints_of(text)]
    for folder in dict.fromkeys((*own, *others)):
        seen = read_seen(folder)
        if seen is None:
            continue
        if request.external and folder in own:
            require_external(seen, samples, folder)
        require_unseen(seen, scored, request.split, folder)
    if request.split == "test":
        for text in (request.predictor, *(text for _, text in request.engines)):
            for path in calibrations_of(text):
                require_uncalibrated(path, scored)


def on_their_word(request: Request, files: Mapping[str, PredictionSet]) -> tuple[str, ...]:
    """Return a caution for every set of answers of which no record says whom it was made from.

    files: the sets that were read. Engines without weights that were trained on patients (the
    embedded ones, the constants) and controls need none.
    """
    cautions = []
    own = () if request.checkpoint is None else (request.checkpoint,)
    asked = [] if request.predictor is None else [(MAIN, request.predictor)]
    for name, text in (*asked, *request.engines):
        folders = (*checkpoints_of(text), *(own if name == MAIN else ()))
        if _has_weights(text) and not _recorded(folders):
            cautions.append(
                f"{name}: no record of this checkpoint says whom it was made from; that it never "
                f"saw these {request.split} patients is taken on your word"
            )
    for name, found in files.items():
        known = found.engine in UNTRAINED or (name == MAIN and _recorded(own))
        if found.control == "none" and not known:
            cautions.append(
                f"{name}: answers from a file do not say whom their checkpoint was made from; that "
                f"it never saw these {request.split} patients is taken on your word"
            )
    return tuple(cautions)


def _has_weights(text: str) -> bool:
    """Return whether an engine string names weights: a folder, a hub id or an adapter."""
    spec = EngineSpec.parse(text)
    return spec.source is not None or "adapter" in spec.options


def _recorded(folders: Sequence[Path]) -> bool:
    return any(read_seen(folder) is not None for folder in folders)


def _require_claim(request: Request, scored: Sequence[Sample], own: Sequence[Path]) -> None:
    if any(sample.origin == SYNTHETIC for sample in scored):
        raise InputError(NO_EXTERNAL)
    if request.predictor is None and not own:
        raise InputError(_UNNAMED)


def checkpoints_of(text: str | None) -> list[Path]:
    """Return the folders of weights that an engine string names."""
    if text is None:
        return []
    spec = EngineSpec.parse(text)
    named = (spec.options.get("adapter"), spec.source)
    return [path for name in named if name and (path := Path(name).expanduser()).is_dir()]


def calibrations_of(text: str | None) -> list[Path]:
    """Return the files that calibrate the answers of an engine string's engine."""
    given = None if text is None else EngineSpec.parse(text).options.get("calibration")
    if given is not None:
        return [] if given == "none" else [Path(given).expanduser()]
    found = [folder / CALIBRATION for folder in checkpoints_of(text)]
    return [path for path in found if path.is_file()]
