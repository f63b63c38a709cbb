"""From a cohort folder to a head: what is refused before anything runs, and what is written."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from texture_cohort import make_cohort, texture, write_tile

from immunopath.domain.errors import (
    CaseFileError,
    EngineMismatch,
    LabelError,
    LeakageError,
    OutputError,
)
from immunopath.imaging.tile_manifest import TileRow, read_tiles, write_tiles
from immunopath.models.mil.record import FILE, WEIGHTS, read_record
from immunopath.training.labels.fields import LabelConstants, Span
from immunopath.training.labels.recipe import LABELS, LabelRecipe, write_recipe
from immunopath.training.labels.signatures import Moments, SignatureModel
from immunopath.training.mil.features import FILE as FEATURES
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import HISTORY, Means, make_plan, train_mil
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples, write_samples
from immunopath.training.seen import keys_of

QUICK = MilSettings(members=1, epochs=2, hidden=8)
RECIPE = LabelRecipe(
    variant="run-v3.1",
    train_digest="t" * 64,
    signatures=SignatureModel(
        gene_sets="1", genes={"CD3E": Moments(mean=1, sd=1)}, signatures={"til": ("CD3E",)}
    ),
    constants=LabelConstants(
        n=20,
        cd274_median=1.0,
        til_median=0.0,
        cd8_median=0.0,
        til=Span(low=-2.0, high=3.0),
        immune=Span(low=-2.0, high=3.0),
    ),
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_cohort(tmp_path / "cohort", patients=40, tiles=1)


def change_samples(folder: Path, change: Callable[[Sample], Sample | None]) -> None:
    changed = [change(sample) for sample in read_samples(folder / SAMPLES)]
    write_samples(folder / SAMPLES, [sample for sample in changed if sample is not None])


def change_tiles(folder: Path, change: Callable[[TileRow], TileRow | None]) -> None:
    changed = [change(row) for row in read_tiles(folder / TILES)]
    write_tiles(folder / TILES, [row for row in changed if row is not None])


def test_patients_without_tiles_are_named(small: Path) -> None:
    change_tiles(small, lambda row: None if row.patient_id in {"P001", "P004"} else row)
    with pytest.raises(CaseFileError, match=r"no tile for 2 of 30 patients \(P004, P001\)"):
        make_plan(small, "embedded", QUICK)


def test_a_test_patient_without_tiles_does_not_stop_training(small: Path) -> None:
    change_tiles(small, lambda row: None if row.patient_id == "P003" else row)
    assert len(make_plan(small, "embedded", QUICK).train) == 20


def test_a_patient_in_two_splits_is_refused(small: Path) -> None:
    path = small / SAMPLES
    lines = path.read_text().splitlines()
    twin = lines[0].replace('"split":"train"', '"split":"test"')
    path.write_text("\n".join([*lines, twin]) + "\n")
    with pytest.raises(CaseFileError, match="patient 'P000' is on line 1 and on line 41"):
        make_plan(small, "embedded", QUICK)


def test_one_patient_under_two_names_in_two_splits_is_refused(small: Path) -> None:
    rows = read_tiles(small / TILES)
    twin = rows[3].model_copy(update={"file": rows[0].file, "sha256": rows[0].sha256})
    write_tiles(small / TILES, [*rows[:3], twin, *rows[4:]])
    with pytest.raises(LeakageError, match=r"tile .* is in P000 \(train\) and P003 \(test\)"):
        make_plan(small, "embedded", QUICK)


def test_equal_tiles_within_a_split_are_no_leak(small: Path) -> None:
    rows = read_tiles(small / TILES)
    twin = rows[2].model_copy(update={"file": rows[0].file, "sha256": rows[0].sha256})
    write_tiles(small / TILES, [*rows[:2], twin, *rows[3:]])
    make_plan(small, "embedded", QUICK)


@pytest.mark.parametrize("text", ["NaN", "Infinity", '"0.5"', "1.5"])
def test_a_label_that_is_no_number_is_refused_with_its_line(small: Path, text: str) -> None:
    path = small / SAMPLES
    lines = path.read_text().splitlines()
    start = lines[2].index('"til_fraction":') + len('"til_fraction":')
    end = lines[2].index(",", start)
    lines[2] = lines[2][:start] + text + lines[2][end:]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CaseFileError, match=r"samples\.jsonl: line 3"):
        make_plan(small, "embedded", QUICK)


def test_no_validation_patients_is_refused(small: Path) -> None:
    change_samples(
        small, lambda s: s.model_copy(update={"split": "test"}) if s.split == "val" else s
    )
    with pytest.raises(CaseFileError, match="0 patients in split 'val', 8 are needed"):
        make_plan(small, "embedded", QUICK)


def test_mixed_origins_are_refused(small: Path) -> None:
    change_samples(
        small, lambda s: s.model_copy(update={"origin": "rna"}) if s.patient_id == "P000" else s
    )
    with pytest.raises(CaseFileError, match="mixes labels of rna and synthetic"):
        make_plan(small, "embedded", QUICK)


def test_mixed_tiles_are_refused(small: Path) -> None:
    change_tiles(
        small,
        lambda row: row.model_copy(update={"target_mpp": 1.0}) if row.patient_id == "P000" else row,
    )
    with pytest.raises(CaseFileError, match=r"mixes tiles of 96 px at 0\.5 µm/px with 96 px"):
        make_plan(small, "embedded", QUICK)


def test_tiles_that_were_left_out_when_cutting_are_no_part_of_the_cohort(tmp_path: Path) -> None:
    folder = make_cohort(tmp_path / "cohort", patients=40, tiles=2)
    gone = {"selected": False, "file": None, "sha256": ""}
    change_tiles(folder, lambda r: r.model_copy(update=gone) if r.tile_id.endswith("-1") else r)
    cohort = make_plan(folder, "embedded", QUICK).cohort
    assert len(cohort.rows) == 40
    assert cohort.places == cohort.shown


def test_tiles_that_were_not_rendered_are_named(small: Path) -> None:
    change_tiles(small, lambda row: row.model_copy(update={"file": None}))
    with pytest.raises(CaseFileError, match="tile 'P000-0' has no rendered file"):
        make_plan(small, "embedded", QUICK)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hiden": 3}, "hiden"),
        ({"fields": ("til",)}, "'til' is not one of"),
        ({"dropout": 1.0}, "dropout"),
        ({"rate": float("nan")}, "rate"),
    ],
)
def test_settings_refuse_what_they_do_not_know(values: dict[str, object], words: str) -> None:
    with pytest.raises(CaseFileError, match=f"settings of the MIL head: .*{words}"):
        MilSettings.make(values)


def test_a_cache_of_another_cohort_stops_training(small: Path, head: Path, tmp_path: Path) -> None:
    plan = make_plan(small, "embedded", QUICK)
    with pytest.raises(EngineMismatch, match="belongs to other tiles"):
        train_mil(plan, tmp_path / "out", Means(features=head / FEATURES))
    assert not (tmp_path / "out").exists()


def test_a_head_is_not_overwritten(head: Path, cohort: Path) -> None:
    before = (head / FILE).read_bytes()
    with pytest.raises(OutputError, match="holds a head already; name another folder"):
        train_mil(make_plan(cohort, "embedded", QUICK), head)
    assert (head / FILE).read_bytes() == before


def test_the_record_says_what_the_head_was_trained_on(head: Path, cohort: Path) -> None:
    record = read_record(head)
    assert record.origin == "synthetic"
    assert record.trained == ("til_fraction", "til_density", "immune_phenotype")
    assert record.patients == {"train": 24, "val": 12}
    assert (record.mpp, record.px, record.tiles_low, record.tiles_high) == (0.5, 96, 3, 3)
    assert record.encoder.name == record.embedder == "embedded"
    assert record.cut_points is not None
    assert record.cut_points.density_class(0.5) == "moderate"
    assert record.versions["torch"]
    assert (head / HISTORY).read_text().startswith("member,epoch,train_loss,val_loss\n0,0,")
    assert {path.name for path in head.iterdir()} == {FILE, WEIGHTS, HISTORY, FEATURES}


def test_the_same_cohort_and_seed_give_the_same_head(
    head: Path, cohort: Path, settings: MilSettings, tmp_path: Path
) -> None:
    plan = make_plan(cohort, "embedded", settings)
    again = train_mil(plan, tmp_path / "again", Means(features=head / FEATURES))
    assert again == read_record(head)
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (head / WEIGHTS).read_bytes()


def test_label_constants_give_quantity_and_cut_points_and_travel_as_a_digest(
    small: Path, tmp_path: Path
) -> None:
    change_samples(small, lambda s: s.model_copy(update={"origin": "rna"}))
    plan = make_plan(small, "embedded", QUICK)
    cache = Means(features=tmp_path / FEATURES)
    bare = train_mil(plan, tmp_path / "a", cache)
    assert bare.label_constants_digest is None
    assert bare.seen is not None
    assert bare.seen.train == keys_of(plan.train) != ()
    assert bare.seen.val == keys_of(plan.val) != ()
    assert bare.fields["til_fraction"].quantity == "undeclared"
    write_recipe(small / LABELS, RECIPE)
    planned, whole = make_plan(small, "embedded", QUICK), (small / LABELS).read_bytes()
    (small / LABELS).write_text("changed while the head was trained")
    found = train_mil(planned, tmp_path / "b", cache)
    assert found.label_constants_digest == hashlib.sha256(whole).hexdigest()
    assert found.fields["til_fraction"].quantity == RECIPE.quantity
    assert found.fields["til_density"].quantity == f"{RECIPE.quantity}_class"
    assert found.cut_points == RECIPE.constants.cut_points("run-v3.1")
    (small / LABELS).write_bytes(whole)
    with pytest.raises(CaseFileError, match="the labels' own constants say 'rna_score_minmax'"):
        make_plan(small, "embedded", QUICK.model_copy(update={"quantity": "rna_score_sigmoid"}))
    fitted = RECIPE.model_copy(update={"train_keys": keys_of(plan.val[:1])})
    write_recipe(small / LABELS, fitted)
    with pytest.raises(LeakageError, match="1 held-out patient is a training patient of"):
        make_plan(small, "embedded", QUICK)
    (small / LABELS).write_text("{}")
    with pytest.raises(LabelError, match=r"labels\.json"):
        make_plan(small, "embedded", QUICK)


def test_constants_of_drawn_patients_are_no_recipe(small: Path, tmp_path: Path) -> None:
    (small / LABELS).write_text(RECIPE.constants.model_dump_json())
    plan = make_plan(small, "embedded", QUICK)
    found = train_mil(plan, tmp_path / "a")
    assert found.label_constants_digest is not None
    assert found.fields["til_fraction"].quantity == "synthetic_til_fraction"


def test_a_cohort_that_grew_has_another_digest(small: Path) -> None:
    before = make_plan(small, "embedded", QUICK).cohort.tiles_sha256
    rows = [*read_tiles(small / TILES), write_tile(small, "P000", 9, texture(0.5, 9))]
    write_tiles(small / TILES, rows)
    assert make_plan(small, "embedded", QUICK).cohort.tiles_sha256 != before
