"""Vectors that go out as a TRIDENT file and come back train the same head."""

from pathlib import Path

import numpy as np
import pytest
from feature_files import write_h5
from texture_cohort import MPP, PX, make_cohort

from immunopath.domain.errors import EngineMismatch
from immunopath.imaging.tile_manifest import read_tiles
from immunopath.models.mil.record import read_record
from immunopath.training.imports.hdf5 import read_hdf5
from immunopath.training.imports.reading import maker_of_engine
from immunopath.training.imports.store import Declared, import_features
from immunopath.training.mil.features import FILE, load_features
from immunopath.training.mil.predict import predict_cohort
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import Means, make_plan, train_mil
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples, write_samples

pytest.importorskip("h5py")
SETTINGS = MilSettings(members=1, epochs=15, hidden=16, fields=("til_fraction", "til_density"))


def test_a_head_of_imported_vectors_is_the_head_of_the_tiles(tmp_path: Path) -> None:
    cohort, away = make_cohort(tmp_path / "cohort", patients=36, tiles=2), tmp_path / "away"
    train_mil(make_plan(cohort, "embedded", SETTINGS), tmp_path / "own")
    kept, rows = load_features(tmp_path / "own" / FILE), read_tiles(cohort / TILES)
    slides = []
    for slide in dict.fromkeys(row.slide_id for row in rows):
        at = [i for i, row in enumerate(rows) if row.slide_id == slide]
        facts = {"patch_size": PX, "patch_size_level0": PX, "name": slide}
        places = np.array([(rows[i].x, rows[i].y) for i in at])
        lengths = np.arange(1, len(at) + 1)[:, None]  # what a file's vectors are long is no matter
        path = write_h5(away / "h5" / f"{slide}.h5", kept.rows[at] * lengths, places, facts)
        slides.append(read_hdf5(path))
    samples = [_named(sample) for sample in read_samples(cohort / SAMPLES)]
    write_samples(away / SAMPLES, samples)
    import_features(away, slides[::-1], Declared(maker_of_engine("embedded"), MPP), away)
    plan = make_plan(away, "external", SETTINGS)
    train_mil(plan, tmp_path / "other", Means(features=away / FILE))
    own, other = (
        predict_cohort(tmp_path / head, folder, "test")
        for head, folder in (("own", cohort), ("other", away))
    )
    for one, two in zip(own.answers, other.answers, strict=True):
        assert (one.patient_id, one.n_tiles) == (two.patient_id, two.n_tiles)
        for name in SETTINGS.fields:
            first, second = one.fields[name].probabilities, two.fields[name].probabilities
            assert first == pytest.approx(second, abs=2e-4)
    with pytest.raises(EngineMismatch, match="there are no pixels"):
        predict_cohort(tmp_path / "other", away, "test", control="blank")
    record = read_record(tmp_path / "other")
    assert (record.embedder, record.mpp, record.px) == ("external", MPP, PX)
    assert record.encoder.weights_digest == kept.encoder.weights_digest


def _named(sample: Sample) -> Sample:
    return sample.model_copy(update={"slides": (f"{sample.patient_id}-slide",)})
