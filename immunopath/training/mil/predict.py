"""What a head says of every patient of a split, in the format that evaluation reads.

The same answers as ``immunopath evaluate --predictor mil:…`` gets from the engine, tile by tile;
vectors that training left are not computed again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from immunopath.domain.errors import EngineMismatch
from immunopath.models.mil.build import build, build_on_vectors
from immunopath.models.mil.network import F32
from immunopath.models.mil.predictor import NAME, MilPredictor
from immunopath.models.mil.record import EXTERNAL, read_record
from immunopath.models.spec import EngineSpec
from immunopath.training.evaluation.runner import NO_TILES, answer_of, silent
from immunopath.training.mil.cohort import Cohort, read_cohort
from immunopath.training.mil.features import FILE, Features, embed_tiles, read_features
from immunopath.training.predictions import PatientAnswer, PredictionSet
from immunopath.training.samples import Sample, Split
from immunopath.training.seen import require_unseen
from immunopath.training.tile_source import Control, PatientTiles


def predict_cohort(  # noqa: PLR0913 - whom, of what, under which control
    folder: Path,
    cohort: Path,
    split: Split,
    *,
    control: Control = "none",
    features: Path | None = None,
    seed: int = 0,
) -> PredictionSet:
    """Return the answers of the head in `folder` for the patients of a split of a cohort folder.

    control, seed: see `PatientTiles`. features: a file of vectors of this cohort; without it the
    one beside the head is used if it is of this cohort, else the tiles are embedded. A patient
    without selected tiles is answered with abstentions. Raises `EngineMismatch` for a cohort of
    other tiles or vectors, `LeakageError` for patients that the head has seen (`require_unseen`).
    """
    engine = _engine(folder, control)
    found = read_cohort(cohort, rendered=engine.record.embedder != EXTERNAL)
    samples = found.of(split)
    seen = engine.record.seen
    if seen is not None:
        require_unseen(seen, samples, split, folder)
    places = [list(found.shown.get(s.patient_id, ())) for s in samples]
    try:
        _require_tiles_alike(engine, found)
        kept = _kept(folder, found, engine, features) if control == "none" else None
        if kept is not None:
            rows = [kept.rows[own] for own in places]
        else:
            rows = _embedded(engine, found, places, control, seed)
    finally:
        engine.close()
    answers = [_answer(engine, found, *own) for own in zip(samples, places, rows, strict=True)]
    return _answered(engine, f"{NAME}:{folder}", control, answers)


def _engine(folder: Path, control: Control) -> MilPredictor:
    """Return the head; one of imported vectors embeds nothing and is shown no altered pixels."""
    if read_record(folder).embedder != EXTERNAL:
        return build(EngineSpec(name=NAME, source=str(folder)))
    if control != "none":
        raise EngineMismatch(f"{folder}: was trained on imported vectors; there are no pixels")
    return build_on_vectors(folder)


def _answered(
    engine: MilPredictor, name: str, control: Control, answers: Sequence[PatientAnswer]
) -> PredictionSet:
    return PredictionSet(
        engine=name,
        digest=engine.digest,
        preprocess=engine.info.preprocess,
        control=control,
        calibrated=engine.calibrator is not None,
        calibrator=None if engine.calibrator is None else engine.calibrator.digest,
        answers=tuple(answers),
    )


def _require_tiles_alike(engine: MilPredictor, cohort: Cohort) -> None:
    record = engine.record
    if (cohort.mpp, cohort.px) != (record.mpp, record.px):
        raise EngineMismatch(
            f"{cohort.folder}: tiles of {cohort.px} px at {cohort.mpp:g} µm/px, the head was "
            f"trained on {record.px} px at {record.mpp:g}; cut the tiles alike"
        )


def _answer(
    engine: MilPredictor, cohort: Cohort, sample: Sample, places: Sequence[int], rows: F32
) -> PatientAnswer:
    if not len(rows):
        return silent(sample, NO_TILES)
    tiles = [cohort.rows[place] for place in places]
    source = PatientTiles(cohort.folder, tiles)
    return answer_of(sample, engine.answer(rows, [tile.tile_id for tile in tiles], source))


def _kept(
    folder: Path, cohort: Cohort, engine: MilPredictor, given: Path | None
) -> Features | None:
    """Return the vectors in the file that is given, else those that training left, if they fit.

    For a head of imported vectors those beside the cohort, whatever they are.
    """
    encoder = engine.record.encoder
    if given is not None or engine.record.embedder == EXTERNAL:
        return read_features(given or cohort.folder / FILE, cohort, encoder)
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return read_features(path, cohort, encoder)
    except EngineMismatch:
        return None


def _embedded(
    engine: MilPredictor,
    cohort: Cohort,
    places: Sequence[Sequence[int]],
    control: Control,
    seed: int,
) -> list[F32]:
    every = [place for own in places for place in own]
    rows = embed_tiles(cohort, every, engine.embedder, control=control, seed=seed)
    return list(np.split(rows, np.cumsum([len(own) for own in places])[:-1]))
