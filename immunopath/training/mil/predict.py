"""What a head says of every patient of a split, in the format that evaluation reads."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from immunopath.domain.errors import EngineMismatch
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.medgemma.probe import blank, shuffled
from immunopath.models.mil.build import build
from immunopath.models.mil.fields import NO_TILES, silence, table_of, value_of
from immunopath.models.mil.network import F32, FieldTables
from immunopath.models.mil.predictor import NAME, MilPredictor
from immunopath.models.mil.record import MilRecord
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec
from immunopath.training.mil.cohort import Cohort, read_cohort
from immunopath.training.mil.features import FILE, Alter, Features, embed_tiles, read_features
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet
from immunopath.training.samples import Sample, Split

CONTROLS = ("none", "blank", "shuffled")


def predict_cohort(  # noqa: PLR0913 - whom, of what, under which control
    folder: Path,
    cohort: Path,
    split: Split,
    *,
    control: str = "none",
    features: Path | None = None,
    seed: int = 0,
) -> PredictionSet:
    """Return the answers of the head in `folder` for the patients of a split of a cohort folder.

    control: ``blank`` shows white tiles, ``shuffled`` tiles whose 4 µm blocks are rearranged (as
    ``models probe`` does). features: a file of vectors of this cohort; without it the one beside
    the head is used if it is of this cohort, else the tiles are embedded. A patient without tiles
    is answered with abstentions. Raises `EngineMismatch` for a cohort of other tiles.
    """
    engine = build(EngineSpec(name=NAME, source=str(folder)))
    found = read_cohort(cohort)
    if (found.mpp, found.px) != (engine.record.mpp, engine.record.px):
        raise EngineMismatch(
            f"{cohort}: tiles of {found.px} px at {found.mpp:g} µm/px, the head was trained on "
            f"{engine.record.px} px at {engine.record.mpp:g}; cut the tiles alike"
        )
    samples = found.of(split)
    places = [list(found.places.get(s.patient_id, ())) for s in samples]
    rows = _rows(engine, found, places, control, features or _beside(folder, found, engine), seed)
    return PredictionSet(
        engine=f"{NAME}:{folder}",
        digest=engine.digest,
        control=control,
        answers=tuple(
            answer_of(engine, sample, part) for sample, part in zip(samples, rows, strict=True)
        ),
    )


def answer_of(engine: MilPredictor, sample: Sample, rows: F32) -> PatientAnswer:
    """Return what the head says of one patient's vectors, (n_tiles, size)."""
    tables = engine.head.read(rows) if len(rows) else {}
    fields = {key: _answer(key, tables.get(key), engine.record) for key in FIELD_VALUES}
    return PatientAnswer(patient_id=sample.patient_id, fields=fields, n_tiles=len(rows))


def _answer(key: str, found: FieldTables | None, record: MilRecord) -> FieldAnswer:
    if found is None:
        return FieldAnswer(value=None, reason=silence(key, record) or NO_TILES)
    table = table_of(key, found.case)
    return FieldAnswer(value=value_of(key, table), probabilities=table)


def _beside(folder: Path, cohort: Cohort, engine: MilPredictor) -> Path | None:
    """Return the file of vectors that training left, when it is of this cohort."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        read_features(path, cohort, engine.record.encoder)
    except EngineMismatch:
        return None
    return path


def _rows(  # noqa: PLR0913, PLR0917 - what to embed, how, and from where
    engine: MilPredictor,
    cohort: Cohort,
    places: Sequence[Sequence[int]],
    control: str,
    features: Path | None,
    seed: int,
) -> list[F32]:
    if control not in CONTROLS:
        raise ValueError(f"control {control!r} is not one of {', '.join(CONTROLS)}")
    if control == "none" and features is not None:
        kept: Features = read_features(features, cohort, engine.record.encoder)
        return [kept.rows[list(own)] for own in places]
    alter: Alter | None = None
    if control == "blank":
        alter = _white
    elif control == "shuffled":
        alter = partial(_rearranged, seed=seed)
    every = [place for own in places for place in own]
    rows = embed_tiles(cohort, every, engine.embedder, alter=alter)
    return list(np.split(rows, np.cumsum([len(own) for own in places])[:-1]))


def _white(pixels: RGB, place: int) -> RGB:
    return blank(pixels)


def _rearranged(pixels: RGB, place: int, seed: int) -> RGB:
    return shuffled(pixels, seed + place)
