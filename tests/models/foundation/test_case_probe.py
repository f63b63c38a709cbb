"""The probe of predictors that are no language model: through the door that cases use."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from plain_tiles import PlainTiles

from immunopath.domain.errors import InputError
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    CutPoints,
    FieldPrediction,
    PredictorResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.imaging.intake import take_in
from immunopath.imaging.tiles import TileStore
from immunopath.models.foundation.case_probe import TILES, OneTile, probe_cases, probe_engine
from immunopath.models.foundation.medgemma.probe_files import FILE, read_probe
from immunopath.models.protocols import RGB, EngineInfo, Prediction, TileSource
from immunopath.models.spec import EngineSpec

SOURCE = Provenance(engine="x", revision="1", weights_digest="d", tile_ids=(), mpp=0.5)
INFO = EngineInfo("predictor", "x", "1", "d", 0.5, None, None, "MIT", False, "", "px=64")
ORANGES = [np.full((64, 64, 3), 20 + 20 * n, np.uint8) for n in range(9)]
CUTS = CutPoints(low=0.1, high=0.4)
Said = float | str | None


class Plain:
    """A predictor that says one number and one class of the tiles' mean grey level."""

    info = INFO

    def __init__(self, number: Callable[[RGB], float | None], word: str | None = None) -> None:
        self._number, self._word, self.asked = number, word, 0

    def predict(self, source: TileSource) -> Prediction:
        [tile] = source.tiles
        self.asked += 1
        value = self._number(source.pixels(tile.tile_id, 0.5))
        said: dict[str, Said] = {"til_fraction": value, "msi_status": self._word}
        fields = {
            key: (FieldPrediction[float] if allowed is None else FieldPrediction[str])(
                quantity="x", n_tiles=1, qc_pass=True, value=said.get(key),
                abstained=said.get(key) is None, reason="no", source=SOURCE,
            )
            for key, allowed in FIELD_VALUES.items()
        }  # fmt: skip
        profile = BiomarkerProfile(**fields)  # type: ignore[arg-type]
        return Prediction(PredictorResult(profile=profile, cut_points=CUTS))


def test_a_predictor_of_grey_levels_depends_on_the_image() -> None:
    engine = Plain(lambda pixels: float(pixels.mean()) / 255)
    result = probe_engine(engine, [PlainTiles([image]) for image in ORANGES])
    [field] = result.fields  # the others never answer
    assert (field.key, field.verdict, field.constant) == ("til_fraction", "depends", False)
    greys = np.array([image[0, 0, 0] for image in ORANGES]) / 255
    assert field.blank.mean == pytest.approx((1 - greys).mean())
    assert field.shuffled.mean == 0
    assert (result.weights_digest, result.mpp, result.preprocess) == ("d", 0.5, "px=64")
    assert engine.asked == 3 * len(ORANGES)


def test_one_that_says_a_constant_ignores_it_and_one_silent_on_glass_does_not() -> None:
    cases = [PlainTiles(ORANGES)]
    constant = probe_engine(Plain(lambda _: 0.3, "MSS"), cases)
    assert constant.keys("ignores") == ("msi_status", "til_fraction")
    assert constant.verdict == "ignores"
    assert all(field.constant for field in constant.fields)
    silent = probe_engine(Plain(lambda p: None if p.min() == 255 else 0.3), cases)
    [field] = silent.fields
    assert field.blank.mean == 1
    assert field.shuffled.mean == 0
    assert field.between.mean == pytest.approx(0)
    assert field.verdict == "constant"


def test_one_that_never_answers_and_a_case_without_tiles_are_refused() -> None:
    with pytest.raises(InputError, match="answers no field"):
        probe_engine(Plain(lambda _: None), [PlainTiles(ORANGES)])
    with pytest.raises(InputError, match="at least one tile"):
        probe_engine(Plain(lambda _: 0.3), [PlainTiles([])])


def test_a_large_case_is_asked_at_even_steps() -> None:
    engine = Plain(lambda _: 0.3)
    assert probe_engine(engine, [PlainTiles(ORANGES * 10)]).n_units == TILES


def test_everything_that_is_read_of_a_tile_is_changed() -> None:
    source = PlainTiles(ORANGES[:2])
    one = OneTile(source, source.tiles[1], lambda pixels: 255 - pixels)
    assert [tile.tile_id for tile in one.tiles] == ["t1"]
    assert one.pixels("t1", 1.0).max() == one.image(1, 64).max() == 255 - 40
    assert one.halo("t1", 8.0) == (0.0, 0.0, 0.0, 0.0)


def test_the_embedded_predictor_depends_on_the_image(shared_images: Path, tmp_path: Path) -> None:
    store = TileStore()
    take_in([shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif"], 0.5, store)
    spec = EngineSpec.parse("embedded")
    result, kept = probe_cases(spec, [store], None)
    assert kept is None
    assert "til_fraction" in result.keys("depends")
    assert "msi_status" not in {field.key for field in result.fields}
    path = tmp_path / "new" / FILE
    assert probe_cases(spec, [store], path) == (result, path)
    assert read_probe(path, needed=True) == result
