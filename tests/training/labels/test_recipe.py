import json
from pathlib import Path

import pytest
from rna_cohort import make_cohort, write_gmt

from immunopath.domain.errors import GeneMissing, LabelError, OneClassField
from immunopath.domain.prediction import FIELD_VALUES, Quantity
from immunopath.training.labels.calls import Calls
from immunopath.training.labels.checks import count_fields, require_classes
from immunopath.training.labels.fields import Variant
from immunopath.training.labels.msi import MsiEvidence, call_msi
from immunopath.training.labels.recipe import (
    LabelRecipe,
    Rna,
    fit_recipe,
    read_recipe,
    write_recipe,
)
from immunopath.training.labels.ssgsea import read_gmt, ssgsea

COHORT = make_cohort(60, seed=5)
TRAIN = COHORT.patients[:40]
RNA = {p: Rna(genes=COHORT.log2[p]) for p in COHORT.patients}


def calls(known: int) -> dict[str, Calls]:
    stable = call_msi(MsiEvidence(published="MSS"))
    return {
        p: Calls(msi=stable, tme=COHORT.tme[p])  # type: ignore[arg-type]
        for p in COHORT.patients[:known]
    }


def with_sets(tmp_path: Path) -> tuple[dict[str, Rna], dict[str, tuple[str, ...]]]:
    sets = read_gmt(write_gmt(tmp_path / "s.gmt"))
    rna = {p: Rna(genes=g, sets=ssgsea(g, sets)) for p, g in COHORT.log2.items()}
    return rna, sets


@pytest.mark.parametrize("variant", ["card", "run-v3.1"])
def test_constants_and_labels_are_identical_after_a_round_trip(
    tmp_path: Path, variant: Variant
) -> None:
    rna, sets = with_sets(tmp_path)
    recipe = fit_recipe(rna, TRAIN, calls(30), variant=variant, gmt=sets)
    path = tmp_path / "labels.json"
    write_recipe(path, recipe)
    stored = read_recipe(path)
    assert stored == recipe
    assert stored.label(rna, calls(30)) == recipe.label(rna, calls(30))
    before = path.read_bytes()
    write_recipe(path, stored)
    assert path.read_bytes() == before


def test_a_new_cohort_is_labelled_patient_by_patient() -> None:
    """Nothing of a new cohort enters: one patient alone gets the same labels as among others."""
    recipe = fit_recipe(RNA, TRAIN)
    together = recipe.label(RNA)
    for patient in COHORT.patients[40:]:
        assert recipe.label({patient: RNA[patient]})[patient] == together[patient]


def test_held_out_patients_do_not_move_a_constant() -> None:
    changed = RNA | {
        p: Rna(genes=dict.fromkeys(COHORT.log2[p], 50.0)) for p in COHORT.patients[40:]
    }
    assert fit_recipe(changed, TRAIN) == fit_recipe(RNA, TRAIN)


def test_the_median_split_halves_the_training_patients() -> None:
    recipe = fit_recipe(RNA, TRAIN)
    labels = [recipe.label(RNA)[p].fields for p in TRAIN]
    assert [row["cd274_expression"] for row in labels].count("high") == 20
    assert {row["til_fraction"] for row in labels} >= {0.0, 1.0}
    assert recipe.quantity == Quantity.rna_score_minmax
    assert fit_recipe(RNA, TRAIN, variant="card").quantity == Quantity.rna_score_sigmoid


def test_published_subtypes_stay_and_the_classifier_fills_the_rest(tmp_path: Path) -> None:
    rna, sets = with_sets(tmp_path)
    found = fit_recipe(rna, TRAIN, calls(30), gmt=sets).label(rna, calls(30))
    sources = [found[p].tme_source for p in COHORT.patients]
    assert sources == ["published"] * 30 + ["classifier"] * 30
    assert all(found[p].fields["tme_subtype"] == COHORT.tme[p] for p in COHORT.patients[:30])
    right = [found[p].fields["tme_subtype"] == COHORT.tme[p] for p in COHORT.patients[30:]]
    assert sum(right) > 15  # of 30; chance is 7 or 8
    bare = fit_recipe(rna, TRAIN, calls(30)).label(rna, calls(30))
    assert bare[COHORT.patients[50]].tme_source == "unknown"
    assert bare[COHORT.patients[50]].fields["tme_subtype"] is None


def test_a_score_outside_the_training_range_is_marked() -> None:
    recipe = fit_recipe(RNA, TRAIN)
    high = Rna(genes={g: v + 20 for g, v in COHORT.log2[TRAIN[0]].items()})
    found = recipe.label({"new": high, TRAIN[0]: RNA[TRAIN[0]]})
    assert found["new"].clipped
    assert found["new"].fields["til_fraction"] == 1.0
    assert not found[TRAIN[0]].clipped


def test_a_training_patient_is_known_again_under_any_barcode() -> None:
    recipe = fit_recipe(RNA, TRAIN)
    assert all(recipe.trained_on(f"{p}-01A-11R-A123-07") for p in TRAIN)
    assert not any(recipe.trained_on(p) for p in COHORT.patients[40:])
    assert TRAIN[0] not in recipe.model_dump_json()


def test_fields_can_be_left_unknown() -> None:
    recipe = fit_recipe(RNA, TRAIN, calls(60), without=["msi_status"])
    assert {row.fields["msi_status"] for row in recipe.label(RNA, calls(60)).values()} == {None}
    with pytest.raises(LabelError, match="msi: no such field"):
        fit_recipe(RNA, TRAIN, without=["msi"])


def test_a_training_patient_without_expression_is_named() -> None:
    with pytest.raises(LabelError, match="training patients without expression: ghost"):
        fit_recipe(RNA, [*TRAIN, "ghost"])


def test_a_new_sample_without_the_genes_is_named() -> None:
    recipe = fit_recipe(RNA, TRAIN)
    with pytest.raises(GeneMissing, match=r"patient new: 2[0-9] genes are missing"):
        recipe.label({"new": Rna(genes={"CD274": 1.0})})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "2"}, "no label file of version 1"),
        ({"variant": "v9"}, "variant"),
        ({"surprise": 1}, "surprise"),
        ({"train_digest": None}, "train_digest"),
    ],
)
def test_a_bad_label_file_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    data = fit_recipe(RNA, TRAIN).model_dump(mode="json") | change
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(LabelError, match=message):
        read_recipe(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_another_file_is_no_label_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError):
        read_recipe(path)


def test_nan_in_a_label_file_is_refused(tmp_path: Path) -> None:
    text = fit_recipe(RNA, TRAIN).model_dump_json()
    data = json.loads(text)
    data["constants"]["til_median"] = float("nan")
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(LabelError, match="til_median"):
        read_recipe(path)


def test_a_field_with_one_class_is_an_error_that_says_how_to_leave_it_out() -> None:
    recipe: LabelRecipe = fit_recipe(RNA, TRAIN, calls(60))
    labels = [row.fields for row in recipe.label(RNA, calls(60)).values()]
    said = r"all 60 .* are MSS.*cohort-data build … --without msi_status"
    with pytest.raises(OneClassField, match=said):
        require_classes(labels)
    unknown = [row | {"msi_status": None} for row in labels]
    counts = {c.field: c for c in require_classes(unknown)}
    assert tuple(counts) == tuple(FIELD_VALUES)
    assert (counts["msi_status"].known, counts["msi_status"].unknown) == (0, 60)
    one_number = [row | {"til_fraction": 0.5} for row in unknown]
    with pytest.raises(OneClassField, match="til_fraction"):
        require_classes(one_number)
    assert count_fields(labels)[1].values == {"MSS": 60}
