"""Engines over a split: what is asked, what is kept, what is silent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tile_cohort import write_cohort

from immunopath.domain.errors import EngineError, ImageSizeError
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    FieldPrediction,
    PredictorResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.models.protocols import EngineInfo, Prediction, TileSource
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec
from immunopath.training.evaluation.runner import NO_TILES, Shown, predict
from immunopath.training.samples import Sample
from immunopath.training.tile_source import read_cohort_folder

INFO = EngineInfo("predictor", "brightness", "1", "w" * 64, 0.5, None, None, "MIT", False, "-")
BY = Provenance(engine="brightness", revision="1", calibrator_digest="k" * 64)


class Brightness:
    """Says how bright the tiles are; too small tiles are refused."""

    info = INFO

    def __init__(self, least: int = 0) -> None:
        self.least = least
        self.asked: list[str | None] = []

    def predict(self, source: TileSource) -> Prediction:
        return self.predict_for(source, None)

    def predict_for(self, source: TileSource, histology: str | None) -> Prediction:
        self.asked.append(histology)
        shown = [source.pixels(t.tile_id, t.mpp) for t in source.tiles]
        if min(len(p) for p in shown) < self.least:
            raise ImageSizeError("tiles are too small")
        level = float(sum(p.mean() for p in shown) / len(shown) / 255)
        return Prediction(PredictorResult(profile=profile(level, len(shown)), cut_points=None))


def profile(level: float, n: int) -> BiomarkerProfile:
    fields: dict[str, Any] = {}
    for name, values in FIELD_VALUES.items():
        shared: dict[str, Any] = {"quantity": "q", "n_tiles": n, "qc_pass": True, "source": BY}
        if values is None:
            low = {f"{level:.3f}": 0.5, f"{level + 0.001:.3f}": 0.5}
            fields[name] = FieldPrediction[float](
                **shared, value=level, probabilities=low, conditioning="greedy", calibrated=True,
                abstained=False,
            )  # fmt: skip
        else:
            fields[name] = FieldPrediction[str](
                **shared, value=None, abstained=True, reason="cannot know"
            )
    return BiomarkerProfile(**fields)


def run(folder: Path, engine: Brightness, **changes: Any) -> Any:
    samples, tiles = read_cohort_folder(folder)
    shown = Shown(folder, changes.pop("tiles", tiles), **changes)
    return predict(engine, "brightness", of_test(samples), shown)


def of_test(samples: Sequence[Sample]) -> list[Sample]:
    return [s for s in samples if s.split == "test"]


def test_answers_carry_tables_on_the_grid_reasons_and_what_produced_them(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=4, tiles=2)
    engine = Brightness()
    found = run(tmp_path, engine)
    assert (found.digest, found.control, found.conditioning) == ("w" * 64, "none", "greedy")
    assert (found.calibrated, found.calibrator) == (True, "k" * 64)
    assert [a.patient_id for a in found.answers] == ["P000", "P001", "P002", "P003"]
    assert [a.n_tiles for a in found.answers] == [2] * 4
    til = found.answers[1].fields["til_fraction"]
    assert til.value == pytest.approx(190 / 255, abs=0.02)
    assert sum(til.probabilities.values()) == pytest.approx(1)
    assert set(til.probabilities) <= {f"{n / 100:.2f}" for n in range(101)}
    assert found.answers[0].fields["msi_status"].reason == "cannot know"
    assert set(engine.asked) == {"adenocarcinoma", "squamous"}


def test_controls_reach_the_engine_as_pixels(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=4)
    blank = run(tmp_path, Brightness(), control="blank")
    assert [a.fields["til_fraction"].value for a in blank.answers] == [1.0] * 4
    assert blank.control == "blank"
    true, mixed = (run(tmp_path, Brightness(), control=c) for c in ("none", "shuffled"))
    for a, b in zip(true.answers, mixed.answers, strict=True):
        assert a.fields["til_fraction"].value == pytest.approx(b.fields["til_fraction"].value)


def test_patients_without_tiles_are_silent_and_said_so(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=4)
    _, tiles = read_cohort_folder(tmp_path)
    found = run(tmp_path, Brightness(), tiles={k: v for k, v in tiles.items() if k != "P002"})
    silent = found.answers[2]
    assert {f.reason for f in silent.fields.values()} == {NO_TILES}
    assert {f.value for f in silent.fields.values()} == {None}


def test_an_engine_that_fits_no_tile_at_all_is_an_error(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=4)
    with pytest.raises(ImageSizeError, match="too small"):
        run(tmp_path, Brightness(least=1000))


def test_free_text_needs_an_engine_that_writes(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=2)
    with pytest.raises(EngineError, match="writes no free text"):
        run(tmp_path, Brightness(), free_texts=1)

    class Writer(Brightness):
        def write_freely(self, source: TileSource, histology: str | None) -> str:
            return f"{len(source.tiles)} tiles of {histology}"

    found = run(tmp_path, Writer(), free_texts=1)
    assert found.answers[0].free_text == "1 tiles of adenocarcinoma"
    assert found.answers[1].free_text is None


def test_the_real_embedded_engine_answers_a_cohort(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=2)
    samples, tiles = read_cohort_folder(tmp_path)
    engine = build_engine("predictor", EngineSpec.parse("embedded"), "cpu")
    found = predict(engine, "embedded", of_test(samples), Shown(tmp_path, tiles))
    assert found.digest == engine.info.weights_digest
    assert found.answers[0].fields["msi_status"].value is None
