"""A predictor of the registry over the patients of a split, pixels altered or not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import EngineError, ImageSizeError
from immunopath.domain.prediction import (
    FIELD_VALUES,
    GRID,
    BiomarkerProfile,
    FieldPrediction,
    PredictorResult,
)
from immunopath.domain.words import counted
from immunopath.imaging.tile_manifest import TileRow
from immunopath.models.protocols import AsksHistology, Predictor
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet
from immunopath.training.samples import Sample
from immunopath.training.tile_source import Control, PatientTiles

HISTOLOGIES: Final = {"LUAD": "adenocarcinoma", "LUSC": "squamous"}
NO_TILES: Final = "no tiles"
Notify = Callable[[str], None]


@dataclass(frozen=True)
class Shown:
    """What the patients are shown from: a cohort folder's tiles, altered by `control` with `seed`.

    tiles: selected rows by patient; free_texts: of how many patients the model's unforced text is
    kept as well (engines that can write only).
    """

    folder: Path
    tiles: Mapping[str, Sequence[TileRow]]
    control: Control = "none"
    seed: int = 0
    free_texts: int = 0
    notify: Notify = field(default=lambda _: None)


def predict(engine: Predictor, name: str, samples: Sequence[Sample], shown: Shown) -> PredictionSet:
    """Return the answers of an engine for `samples`; `name`: its engine string.

    A patient without tiles, or whose tiles hold no patch of the engine's size, is answered with
    abstentions and the reason. Raises `EngineError` when the engine cannot work, also when no
    patient's tiles fit it.
    """
    answers: list[PatientAnswer] = []
    settings: set[str | None] = set()
    calibrators: set[str] = set()
    misfit: ImageSizeError | None = None
    for number, sample in enumerate(samples):
        rows = shown.tiles.get(sample.patient_id, ())
        if not rows:
            answers.append(silent(sample, NO_TILES))
            continue
        source = PatientTiles(shown.folder, rows, shown.control, shown.seed)
        try:
            result = _ask(engine, source, sample)
            text = _text(engine, source, sample) if number < shown.free_texts else None
        except ImageSizeError as error:
            misfit = error
            answers.append(silent(sample, str(error)))
            continue
        answers.append(answer_of(sample, result, text))
        fields = dict(result.profile.items()).values()
        settings |= {f.conditioning for f in fields if f.probabilities is not None}
        calibrators |= {f.source.calibrator_digest or "" for f in fields if f.calibrated}
        shown.notify(f"{shown.control}: {number + 1} of {counted(len(samples), 'patient')}")
    if misfit is not None and all(a.n_tiles == 0 for a in answers):
        raise misfit
    info = engine.info
    return PredictionSet(
        engine=name,
        digest=info.weights_digest or info.revision,
        preprocess=info.preprocess,
        control=shown.control,
        conditioning=next(iter(settings)) if len(settings) == 1 else None,
        calibrated=bool(calibrators),
        calibrator=next(iter(calibrators)) or None if len(calibrators) == 1 else None,
        answers=tuple(answers),
    )


def answer_of(sample: Sample, result: PredictorResult, text: str | None = None) -> PatientAnswer:
    """Return what a predictor said of a patient in the format of `PredictionSet`."""
    profile: BiomarkerProfile = result.profile
    return PatientAnswer(
        patient_id=sample.patient_id,
        fields={name: _field(name, found) for name, found in profile.items()},
        n_tiles=max(found.n_tiles for _, found in profile.items()),
        free_text=text,
    )


def silent(sample: Sample, reason: str) -> PatientAnswer:
    """Return eight abstentions."""
    return PatientAnswer(
        patient_id=sample.patient_id,
        fields={name: FieldAnswer(value=None, reason=reason) for name in FIELD_VALUES},
    )


def _ask(engine: Predictor, source: PatientTiles, sample: Sample) -> PredictorResult:
    if isinstance(engine, AsksHistology):
        return engine.predict_for(source, HISTOLOGIES.get(sample.cancer_type)).result
    return engine.predict(source).result


def _text(engine: Predictor, source: PatientTiles, sample: Sample) -> str | None:
    write: Any = getattr(engine, "write_freely", None)
    if write is None:
        raise EngineError(
            f"{engine.info.name}: writes no free text; leave --free-text out for this engine"
        )
    return str(write(source, HISTOLOGIES.get(sample.cancer_type)))


def _field(name: str, found: FieldPrediction[str] | FieldPrediction[float]) -> FieldAnswer:
    table = found.probabilities or {}
    if table and FIELD_VALUES[name] is None:
        table = _on_grid(table)
    return FieldAnswer(value=found.value, probabilities=table, reason=found.reason)


def _on_grid(table: Mapping[str, float]) -> dict[str, float]:
    """Return a number's table summed onto the two-decimal grid, ascending."""
    sums: dict[str, float] = {}
    for text, probability in table.items():
        key = GRID[round(float(text) * 100)]
        sums[key] = sums.get(key, 0.0) + probability
    return {key: min(sums[key], 1.0) for key in GRID if key in sums}
