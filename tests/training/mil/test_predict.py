"""What a head says of a split: the same as the engine says of the case, and nothing of a blank."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from texture_cohort import make_cohort

from immunopath.domain.errors import EngineMismatch
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.imaging.decode import decode_image
from immunopath.imaging.tile_manifest import read_tiles, write_tiles
from immunopath.models.mil.build import build
from immunopath.models.mil.pixels import Square, SquareTiles
from immunopath.models.spec import EngineSpec
from immunopath.training.evaluation.runner import Shown, predict
from immunopath.training.mil.features import FILE as FEATURES
from immunopath.training.mil.predict import predict_cohort
from immunopath.training.predictions import PredictionSet, read_predictions, write_predictions
from immunopath.training.samples import SAMPLES, TILES, read_samples
from immunopath.training.tile_source import read_cohort_folder


@pytest.fixture(scope="module")
def found(head: Path, cohort: Path) -> PredictionSet:
    return predict_cohort(head, cohort, "test")


def pairs(found: PredictionSet, cohort: Path, field: str) -> tuple[list[object], list[object]]:
    truth = {s.patient_id: s.label(field) for s in read_samples(cohort / SAMPLES)}
    return (
        [truth[a.patient_id] for a in found.answers],
        [a.fields[field].value for a in found.answers],
    )


def test_it_learned_what_the_images_show(found: PredictionSet, cohort: Path) -> None:
    assert len(found.answers) == 12
    assert spearmanr(*pairs(found, cohort, "til_fraction"))[0] > 0.8
    truth, guess = pairs(found, cohort, "immune_phenotype")
    assert np.mean([a == b for a, b in zip(truth, guess, strict=True)]) > 0.75


def test_the_engine_says_of_a_case_what_was_predicted_for_the_patient(
    found: PredictionSet, head: Path, cohort: Path
) -> None:
    engine = build(EngineSpec(name="mil", source=str(head)))
    answer = found.answers[2]
    rows = [row for row in read_tiles(cohort / TILES) if row.patient_id == answer.patient_id]
    squares = [Square(r.tile_id, decode_image(cohort / str(r.file)).pixels) for r in rows]
    profile = engine.predict(SquareTiles(squares, 0.5)).result.profile
    for name in FIELD_VALUES:
        field, told = getattr(profile, name), answer.fields[name]
        assert field.value == told.value
        assert (field.probabilities or {}) == told.probabilities
        assert field.reason == told.reason
    assert found.digest == engine.digest == profile.til_fraction.source.weights_digest


def test_evaluate_gets_the_same_answers_from_the_engine(
    found: PredictionSet, head: Path, cohort: Path
) -> None:
    engine = build(EngineSpec(name="mil", source=str(head)))
    samples, tiles = read_cohort_folder(cohort)
    test = [sample for sample in samples if sample.split == "test"]
    for control in ("none", "shuffled"):
        own = predict_cohort(head, cohort, "test", control=control)
        asked = predict(engine, own.engine, test, Shown(cohort, tiles, control))
        assert asked == own


def test_answers_survive_the_file(found: PredictionSet, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.json", found)
    assert read_predictions(tmp_path / "p.json") == found


def test_blank_tiles_give_one_answer_for_all(head: Path, cohort: Path) -> None:
    blank = predict_cohort(head, cohort, "test", control="blank")
    assert blank.control == "blank"
    assert len({answer.fields["til_fraction"].value for answer in blank.answers}) == 1


def test_shuffled_tiles_are_other_answers_and_the_same_again(
    found: PredictionSet, head: Path, cohort: Path
) -> None:
    one, two = (predict_cohort(head, cohort, "test", control="shuffled") for _ in range(2))
    assert one == two
    assert one.control == "shuffled"
    assert one.answers != found.answers


def test_a_patient_without_tiles_is_answered_with_abstentions(head: Path, tmp_path: Path) -> None:
    other = make_cohort(tmp_path / "other", patients=8, tiles=1, seed=5)
    write_tiles(other / TILES, [r for r in read_tiles(other / TILES) if r.patient_id != "P003"])
    found = predict_cohort(head, other, "test")
    bare, full = found.answers
    assert (bare.patient_id, bare.n_tiles) == ("P003", 0)
    assert bare.fields["til_fraction"].reason == "no tiles"
    assert full.fields["til_fraction"].value is not None
    assert "not trained" in full.fields["msi_status"].reason


def test_evaluation_shows_the_selected_tiles_only(head: Path, tmp_path: Path) -> None:
    other = make_cohort(tmp_path / "other", patients=4, tiles=3, seed=5)
    rows = read_tiles(other / TILES)
    write_tiles(
        other / TILES, [r.model_copy(update={"selected": r.tile_id.endswith("-1")}) for r in rows]
    )
    (answer,) = predict_cohort(head, other, "test").answers
    assert answer.n_tiles == 1


def test_the_file_of_vectors_beside_a_head_is_used_for_its_cohort_only(
    head: Path, cohort: Path, found: PredictionSet, tmp_path: Path
) -> None:
    assert predict_cohort(head, cohort, "test", features=head / FEATURES) == found
    other = make_cohort(tmp_path / "other", patients=8, tiles=1, seed=5)
    with pytest.raises(EngineMismatch, match="belongs to other tiles"):
        predict_cohort(head, other, "test", features=head / FEATURES)
    assert len(predict_cohort(head, other, "test").answers) == 2


def test_tiles_cut_otherwise_are_refused(head: Path, tmp_path: Path) -> None:
    other = make_cohort(tmp_path / "other", patients=4, tiles=1, px=128)
    with pytest.raises(EngineMismatch, match=r"tiles of 128 px at 0\.5 µm/px.* 96 px at 0\.5"):
        predict_cohort(head, other, "test")
