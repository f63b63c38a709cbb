from pathlib import Path

import numpy as np
import pytest
from nuclei_fields import STROMA, CutSource, draw, grid_points, read_rgb

from immunopath.domain.errors import EngineSpecError
from immunopath.domain.intervals import wilson
from immunopath.domain.prediction import FIELD_VALUES, PredictorResult
from immunopath.domain.quality import Verdict
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.fields import MIN_NUCLEI, TME_PRIOR
from immunopath.models.embedded.predictor import NOT_CONFIRMED, EmbeddedPredictor, build
from immunopath.models.protocols import RGB, Prediction
from immunopath.models.spec import EngineSpec

CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"


@pytest.fixture(scope="module")
def engine() -> EmbeddedPredictor:
    return build(EngineSpec(name="embedded"), "cpu")


@pytest.fixture(scope="module")
def core_pixels(shared_images: Path) -> RGB:
    return read_rgb(shared_images / CORE)


@pytest.fixture(scope="module")
def core(engine: EmbeddedPredictor, core_pixels: RGB) -> Prediction:
    return engine.predict(CutSource([core_pixels], cut=(3, 3)))


def _result(engine: EmbeddedPredictor, rgb: RGB, mpp: float = 0.5) -> PredictorResult:
    return engine.predict(CutSource([np.ascontiguousarray(rgb)], mpp=mpp)).result


def test_the_core_with_walled_off_lymphocytes_is_excluded(core: Prediction) -> None:
    field = core.result.profile.immune_phenotype
    assert field.value == "excluded"
    assert field.probabilities is not None
    assert field.probabilities["excluded"] > 0.9
    assert not field.calibrated
    shape = core.result.morphometry
    assert shape is not None
    assert shape.lymphocytes_per_mm2_in_nests is not None
    assert shape.lymphocytes_per_mm2_outside is not None
    assert shape.lymphocytes_per_mm2_in_nests < 0.2 * shape.lymphocytes_per_mm2_outside


@pytest.mark.parametrize("half", ["left", "right"])
def test_both_halves_of_the_core_are_excluded(
    engine: EmbeddedPredictor, core_pixels: RGB, half: str
) -> None:
    middle = core_pixels.shape[1] // 2
    part = core_pixels[:, :middle] if half == "left" else core_pixels[:, middle:]
    assert _result(engine, part).profile.immune_phenotype.value == "excluded"


def test_the_lymphoid_block_of_the_core_is_not_called_excluded(
    engine: EmbeddedPredictor, core_pixels: RGB
) -> None:
    result = _result(engine, core_pixels[60:500, 150:900])
    field = result.profile.immune_phenotype
    assert field.abstained
    assert "No tumour nests" in field.reason
    assert result.layout_note.startswith(NOT_CONFIRMED)
    assert result.profile.til_density.value == "high"


def test_a_field_below_200_micrometres_gives_a_share_but_no_phenotype(
    engine: EmbeddedPredictor, core_pixels: RGB
) -> None:
    profile = _result(engine, core_pixels[700:1080, 400:780]).profile
    assert profile.immune_phenotype.abstained
    assert "200 µm" in profile.immune_phenotype.reason
    assert profile.til_fraction.value is not None


@pytest.mark.parametrize("colour", [(245, 245, 245), STROMA])
def test_a_blank_field_abstains_everywhere(
    engine: EmbeddedPredictor, colour: tuple[int, int, int]
) -> None:
    result = _result(engine, np.full((512, 512, 3), colour, np.uint8))
    assert all(field.abstained and field.reason for _, field in result.profile.items())
    assert result.morphometry is not None
    assert (result.morphometry.n_nuclei, result.morphometry.median_nuclear_area_um2) == (0, None)
    assert result.morphometry.raw_share is None


def test_no_tiles_give_abstentions_not_an_error(engine: EmbeddedPredictor) -> None:
    prediction = engine.predict(CutSource([]))
    assert all(field.abstained for _, field in prediction.result.profile.items())
    assert prediction.nuclei is not None
    assert len(prediction.nuclei) == 0
    shape = prediction.result.morphometry
    assert shape is not None
    assert (shape.tissue_mm2, shape.lymphocytes_per_mm2) == (0, None)
    assert not prediction.result.profile.til_fraction.qc_pass


@pytest.mark.parametrize("n", [MIN_NUCLEI - 1, MIN_NUCLEI])
def test_a_share_needs_ten_nuclei(engine: EmbeddedPredictor, n: int) -> None:
    points = grid_points(120, 100, 18)[:n]
    result = _result(engine, draw(120, 100, 0.5, points))
    assert result.morphometry is not None
    assert result.morphometry.n_nuclei == n
    assert result.profile.til_fraction.abstained == (n < MIN_NUCLEI)
    assert result.profile.immune_score.abstained == (n < MIN_NUCLEI)
    assert result.profile.immune_score.hint == (n >= MIN_NUCLEI)


def test_what_morphology_cannot_show_is_an_abstention_with_its_prior(core: Prediction) -> None:
    profile = core.result.profile
    priors = {
        "cd274_expression": {"high": 0.5, "low": 0.5},
        "msi_status": {"MSI-H": 0.007, "MSS": 0.993},
        "tme_subtype": TME_PRIOR,
        "cd8_infiltration": None,
    }
    for name, prior in priors.items():
        field = getattr(profile, name)
        assert field.abstained
        assert field.prior == prior
        assert field.probabilities is None
        assert field.reason.endswith(".")
    assert TME_PRIOR["D"] == pytest.approx(330 / 914)


def test_the_share_carries_raw_value_interval_and_count_error(core: Prediction) -> None:
    field, shape = core.result.profile.til_fraction, core.result.morphometry
    assert shape is not None
    assert field.value is not None
    assert field.raw_value == shape.raw_share == shape.n_lymphocytes / shape.n_nuclei
    assert field.interval is not None
    assert field.interval[0] <= field.value <= field.interval[1]
    low, high = wilson(shape.n_lymphocytes, shape.n_nuclei)
    assert field.interval[1] - field.interval[0] >= high - low
    assert field.coverage == 0.9
    assert field.quantity == "lymphocyte_share_of_nuclei"
    assert field.validation is None


def test_density_is_the_share_at_the_declared_cut_points(core: Prediction) -> None:
    profile, cuts = core.result.profile, core.result.cut_points
    assert profile.til_fraction.value is not None
    assert profile.til_density.value == cuts.density_class(profile.til_fraction.value)
    assert profile.til_density.probabilities is not None
    assert set(profile.til_density.probabilities) == set(FIELD_VALUES["til_density"] or ())
    assert not profile.til_density.calibrated


def test_every_field_says_who_and_with_what(core: Prediction, engine: EmbeddedPredictor) -> None:
    for name in FIELD_VALUES:
        field = getattr(core.result.profile, name)
        assert field.source.weights_digest == shipped().digest == engine.info.weights_digest
        assert field.source.mpp == 0.5
        assert len(field.source.tile_ids) == field.n_tiles == 9


def test_the_table_holds_every_counted_nucleus(core: Prediction, core_pixels: RGB) -> None:
    table, shape = core.nuclei, core.result.morphometry
    assert table is not None
    assert shape is not None
    assert len(table) == shape.n_nuclei
    assert table.is_lymphocyte.sum() == shape.n_lymphocytes
    assert table.x_um.max() < core_pixels.shape[1] * 0.5
    assert table.y_um.max() < core_pixels.shape[0] * 0.5
    assert table.in_nest.any()
    assert table.x_um.dtype == np.float32
    assert table.image_index.dtype == np.int32


def test_tiles_that_disagree_are_counted(core: Prediction, engine: EmbeddedPredictor) -> None:
    share = core.result.profile.til_fraction.tile_disagreement
    assert share is not None
    assert 0 < share < 1
    one = _result(engine, draw(120, 100, 0.5, grid_points(120, 100, 14)))
    assert one.profile.til_fraction.tile_disagreement is None


def test_twice_is_byte_for_byte_the_same(engine: EmbeddedPredictor, core_pixels: RGB) -> None:
    part = core_pixels[500:1012, 500:1012]
    a, b = (engine.predict(CutSource([part], cut=(2, 2))) for _ in range(2))
    assert a.result.model_dump_json() == b.result.model_dump_json()
    assert a.nuclei is not None
    assert b.nuclei is not None
    assert a.nuclei.p_lymphocyte.tobytes() == b.nuclei.p_lymphocyte.tobytes()


def test_flagged_tiles_do_not_pass_quality(engine: EmbeddedPredictor) -> None:
    rgb = draw(120, 100, 0.5, grid_points(120, 100, 14))
    flagged = engine.predict(CutSource([rgb], verdict=Verdict.flag)).result.profile
    assert not flagged.til_fraction.qc_pass
    assert engine.predict(CutSource([rgb])).result.profile.til_fraction.qc_pass


def test_an_implausible_resolution_is_told_and_silences_the_phenotype(
    engine: EmbeddedPredictor, shared_images: Path
) -> None:
    breast = read_rgb(shared_images / "he_other/torchstain_target_pale.png")
    result = _result(engine, breast)
    assert result.morphometry is not None
    assert result.morphometry.mpp_plausible is False
    assert result.profile.immune_phenotype.abstained


def test_smooth_muscle_holds_no_lymphocytes_and_the_dense_tile_is_full(
    engine: EmbeddedPredictor, shared_images: Path
) -> None:
    muscle = _result(engine, read_rgb(shared_images / "he_other/tiatoolbox_kather1.tif"))
    dense = _result(engine, read_rgb(shared_images / "he_other/prov_normal_000_1.png"))
    assert (muscle.profile.til_fraction.raw_value or 0) < 0.10
    assert (dense.profile.til_fraction.raw_value or 0) > 0.75
    assert any("nuclei touch" in w for w in dense.morphometry.warnings)  # type: ignore[union-attr]


def test_coarse_pixels_are_warned_of(engine: EmbeddedPredictor) -> None:
    rgb = draw(120, 100, 1.0, grid_points(120, 100, 14))
    shape = _result(engine, rgb, mpp=1.0).morphometry
    assert shape is not None
    assert any("coarser" in w for w in shape.warnings)


def test_the_builder_takes_no_options() -> None:
    with pytest.raises(EngineSpecError):
        build(EngineSpec(name="embedded", options={"batch": "4"}), "cpu")
