"""The engine ``mil:<folder>``: squares, encoder, cautions, doctor, and its place in the graph."""

import json
from pathlib import Path

import cv2
import mil_head
import numpy as np
import pytest
from pixel_store import CORE, pixels, store_of

from immunopath.domain.case import Case
from immunopath.domain.errors import (
    CalibratorMismatch,
    CaseFileError,
    CheckpointError,
    EngineMismatch,
    EngineSpecError,
    ImageSizeError,
    RecordMissing,
)
from immunopath.domain.prediction import EngineCaution, ValidationCard
from immunopath.guidelines.loader import load_knowledge
from immunopath.models.calibration import Calibrator, FieldCalibration, write_calibrator
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.foundation.case_probe import probe_cases
from immunopath.models.foundation.doctor import check_engine
from immunopath.models.foundation.medgemma.probe_files import FILE as PROBE
from immunopath.models.mil.build import build
from immunopath.models.mil.cautions import STRANGE_LIMIT, UNCALIBRATED
from immunopath.models.mil.pixels import Square, SquareTiles, squares_of
from immunopath.models.mil.predictor import MilPredictor
from immunopath.models.mil.record import FILE
from immunopath.models.protocols import RGB, TileSource
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec
from immunopath.models.validation import FILE as VALIDATION
from immunopath.models.validation import ValidationFile, write_validation
from immunopath.pipeline.run import ImmunoPath


@pytest.fixture(scope="module")
def core(shared_images: Path) -> RGB:
    return np.ascontiguousarray(pixels(shared_images / CORE)[400:912, 400:912])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mil_head.write(tmp_path / "head")
    return tmp_path / "head"


def engine(folder: Path, **options: str) -> MilPredictor:
    return build(EngineSpec(name="mil", source=str(folder), options=options))


def test_a_cohorts_square_and_the_graphs_tile_give_the_same_vector(core: RGB) -> None:
    embedder = EmbeddedEmbedder(shipped())
    store: TileSource = store_of(core)
    cut = squares_of(store, 0.5, 512)
    rendered = SquareTiles([Square("a", core)], 0.5)
    assert len(cut) == 1
    np.testing.assert_array_equal(cut[0].pixels, core)
    np.testing.assert_array_equal(embedder.embed(SquareTiles(cut, 0.5)), embedder.embed(rendered))


def test_every_accepted_tile_is_cut_into_squares_of_the_trained_size(core: RGB) -> None:
    store: TileSource = store_of(core)
    assert len(squares_of(store, 0.5, 96)) == 25
    assert len(squares_of(store, 1.0, 128)) == 4
    assert {s.pixels.shape for s in squares_of(store, 1.0, 128)} == {(128, 128, 3)}
    with pytest.raises(ImageSizeError, match=r"trained on tiles of 600 px at 0\.5 µm/px"):
        squares_of(store, 0.5, 600)


def test_an_answer_carries_its_origin(folder: Path, core: RGB) -> None:
    found = engine(folder)
    result = found.predict(store_of(core)).result
    til = result.profile.til_fraction
    assert not til.abstained
    assert til.source.engine == "mil"
    assert til.source.weights_digest == found.digest
    assert til.source.kind == "model"
    assert til.source.mpp == 0.5
    assert len(til.source.tile_ids) == til.n_tiles == 1
    assert til.effective_tiles is not None
    assert 1 <= til.effective_tiles <= 25
    assert til.quantity == "drawn_til_fraction"
    assert result.cut_points is not None
    assert result.cut_points.low == 0.3
    assert found.predict(store_of(core)).result == result


def test_a_head_of_drawn_images_says_so_and_a_short_case_too(folder: Path, core: RGB) -> None:
    small = core[:96, :96]
    codes = {c.code: c.severity for c in engine(folder).predict(store_of(small)).result.cautions}
    assert codes == {
        "TRAINED_ON_SYNTHETIC": "serious",
        "FEWER_TILES_THAN_TRAINED": "caution",
        "NOT_PROBED": "caution",
        "UNCALIBRATED": "note",
    }
    mil_head.write(folder, origin="rna", tiles_low=1)
    others = [c for c in engine(folder).predict(store_of(small)).result.cautions
              if c.code != "NOT_PROBED"]  # fmt: skip
    assert others == [UNCALIBRATED]


def test_tiles_unlike_those_of_training_are_said(folder: Path, core: RGB) -> None:
    mil_head.write(folder, ood_limit=1e-6)
    result = engine(folder).predict(store_of(core)).result
    assert result.profile.til_fraction.ood_score == 1
    assert "UNLIKE_TRAINING" in {caution.code for caution in result.cautions}
    assert load_knowledge().trust.max_ood_score == STRANGE_LIMIT


def test_no_tiles_give_abstentions(folder: Path) -> None:
    result = engine(folder).predict(SquareTiles([], 0.5)).result
    assert all(field.abstained for _, field in result.profile.items())
    assert result.profile.til_fraction.ood_score is None


def test_the_runs_predictor_is_a_mil_head(folder: Path, core: RGB, tmp_path: Path) -> None:
    path = tmp_path / "field.png"
    cv2.imwrite(str(path), core[..., ::-1])
    with ImmunoPath(predictor=f"mil:{folder}") as run:
        report = run.analyze(Case(case_id="drawn", images=str(path), mpp=0.5))
    assert report.profile.til_fraction.source.engine == "mil"
    assert "TRAINED_ON_SYNTHETIC" in {finding.code for finding in report.findings}


def test_another_encoder_is_refused(folder: Path) -> None:
    other = mil_head.encoder().model_copy(update={"weights_digest": "0" * 64})
    mil_head.write(folder, encoder=other)
    with pytest.raises(EngineMismatch, match=r"trained on vectors of embedded .*00000000"):
        engine(folder)


def test_the_encoder_may_lie_elsewhere(folder: Path) -> None:
    mil_head.write(folder, embedder="path-foundation:/where/it/was")
    assert engine(folder, embedder="embedded").info.name == "mil"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("mil", EngineSpecError, "name the folder of a trained head"),
        ("mil:/no/such/folder", CheckpointError, "no such folder"),
        ("mil:{empty}", RecordMissing, "mil.json: no such file"),
        ("mil:{head},quant=4", EngineSpecError, "unknown option 'quant'"),
    ],
)
def test_a_wrong_engine_string_is_named(
    folder: Path, tmp_path: Path, text: str, kind: type[Exception], words: str
) -> None:
    filled = text.format(head=folder, empty=tmp_path)
    with pytest.raises(kind, match=words):
        build_engine("predictor", EngineSpec.parse(filled), "cpu")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "lora"}, "kind"),
        ({"unknown": 1}, "unknown"),
        ({"fields": {}}, "fields are cd274_expression"),
        ({"mpp": 99.0}, "mpp"),
    ],
)
def test_a_record_that_is_none_names_the_key(
    folder: Path, change: dict[str, object], words: str
) -> None:
    values = json.loads((folder / FILE).read_text()) | change
    (folder / FILE).write_text(json.dumps(values))
    with pytest.raises(RecordMissing, match=words):
        engine(folder)


def cards(checkpoint: str, used: str | None = None) -> ValidationFile:
    card = ValidationCard(
        cohort="drawn",
        n=100,
        metric="spearman",
        value=0.8,
        ci_low=0.7,
        ci_high=0.9,
        null_value=0.0,
        external=False,
    )
    return ValidationFile(
        checkpoint=checkpoint,
        calibrator=used,
        origin="synthetic",
        split="test",
        evaluation="e" * 64,
        cards={"til_fraction": card},
    )


def test_validation_cards_are_read_and_those_of_another_head_left_out(
    folder: Path, core: RGB
) -> None:
    path = folder / VALIDATION
    write_validation(cards(engine(folder).digest), path)
    profile = engine(folder).predict(store_of(core)).result.profile
    assert profile.til_fraction.validation is not None
    assert profile.til_fraction.validation.value == 0.8
    assert profile.til_density.validation is None
    write_validation(cards("0" * 64), path)
    result = engine(folder).predict(store_of(core)).result
    assert result.profile.til_fraction.validation is None
    assert "VALIDATION_NOT_USED" in {c.code for c in result.cautions}


def test_cards_of_raw_tables_say_nothing_of_calibrated_ones(folder: Path, core: RGB) -> None:
    digest = engine(folder).digest
    write_validation(cards(digest), folder / VALIDATION)
    write_calibrator(calibrator(digest), folder)
    result = engine(folder).predict(store_of(core)).result
    assert result.profile.til_fraction.validation is None
    write_validation(cards(digest, calibrator(digest).digest), folder / VALIDATION)
    assert engine(folder).predict(store_of(core)).result.profile.til_fraction.validation


def cautions(folder: Path, source: TileSource) -> dict[str, EngineCaution]:
    return {c.code: c for c in engine(folder).predict(source).result.cautions}


def test_what_a_probe_found_stands_in_every_answer_of_its_head(folder: Path, core: RGB) -> None:
    source = SquareTiles(squares_of(store_of(core), 0.5, 96)[:9], 0.5)
    assert "never probed" in cautions(folder, source)["NOT_PROBED"].message
    mil_head.write(folder, blind=True)
    spec = EngineSpec(name="mil", source=str(folder))
    result, path = probe_cases(spec, [source], None)
    assert (result.verdict, path) == ("ignores", folder / PROBE)
    found = cautions(folder, source)
    assert "NOT_PROBED" not in found
    assert found["IMAGE_IGNORED"].severity == "serious"
    assert found["IMAGE_IGNORED"].fields == mil_head.TRAINED
    mil_head.write(folder)
    found = cautions(folder, source)
    assert "other weights" in found["NOT_PROBED"].message
    assert "IMAGE_IGNORED" not in found
    result, _ = probe_cases(spec, [source], None)
    assert result.verdict == "depends"
    found = cautions(folder, source)
    assert "NOT_PROBED" not in found
    ignored = found["IMAGE_IGNORED"].fields if "IMAGE_IGNORED" in found else ()
    assert set(ignored) == set(result.keys("ignores", "constant")) < set(mil_head.TRAINED)


def test_a_damaged_probe_is_named(folder: Path) -> None:
    (folder / PROBE).write_text("{}")
    with pytest.raises(CaseFileError, match=r"immunopath-probe\.json: is not a probe result"):
        engine(folder)


def test_a_head_of_normalised_tiles_says_so(folder: Path, core: RGB) -> None:
    mil_head.write(folder, stain=("reinhard",))
    codes = {c.code for c in engine(folder).predict(store_of(core)).result.cautions}
    assert "TRAINED_ON_NORMALISED_STAIN" in codes


def calibrator(checkpoint: str) -> Calibrator:
    return Calibrator(
        version="1",
        engine="mil",
        checkpoint=checkpoint,
        predictions="p",
        samples="s",
        split="val",
        origins=("synthetic",),
        n=100,
        n_tiles=(1, 4),
        coverage=0.8,
        fields=(
            FieldCalibration(
                field="til_density",
                evaluable=True,
                method="temperature",
                temperature=4.0,
                set_method="lac",
                threshold=0.9,
                coverage=0.8,
            ),
        ),
    )


def test_a_calibration_beside_the_head_is_used_and_that_of_another_refused(
    folder: Path, core: RGB
) -> None:
    raw = engine(folder).predict(store_of(core)).result
    write_calibrator(calibrator(engine(folder).digest), folder)
    found = engine(folder).predict(store_of(core)).result
    before, after = raw.profile.til_density, found.profile.til_density
    assert after.calibrated
    assert not found.profile.til_fraction.calibrated
    assert before.probabilities is not None
    assert after.probabilities is not None
    assert max(after.probabilities.values()) < max(before.probabilities.values())
    assert after.coverage == 0.8
    assert "UNCALIBRATED" not in {c.code for c in found.cautions}
    assert "CALIBRATED_ON_SYNTHETIC" in {c.code for c in found.cautions}
    assert engine(folder, calibration="none").predict(store_of(core)).result == raw
    write_calibrator(calibrator("0" * 64), folder)
    with pytest.raises(CalibratorMismatch, match=r"calibration\.json: was fitted on"):
        engine(folder)


def test_doctor_says_what_a_head_needs(folder: Path, tmp_path: Path) -> None:
    def rows(text: str) -> list[tuple[str, str]]:
        return [(r.name, r.state) for r in check_engine("predictor", EngineSpec.parse(text), "cpu")]

    assert all(state == "ok" for _, state in rows(f"mil:{folder}"))
    assert ("predictor mil: head", "ok") in rows(f"mil:{folder}")
    assert ("predictor mil: options", "missing") in rows("mil")
    mil_head.write(folder, encoder=mil_head.encoder().model_copy(update={"revision": "0"}))
    assert ("predictor mil: head", "missing") in rows(f"mil:{folder}")
