"""A cohort folder is checked as a whole before anything heavy is loaded."""

from pathlib import Path
from typing import Any

import pytest
from lora_cohort import build_cohort, tile, tiny_config
from tiny_lora import HIGH, LOW

from immunopath.domain.errors import CaseFileError, EngineUnavailable, LeakageError, OneClassField
from immunopath.imaging.tile_manifest import read_tiles, write_tiles
from immunopath.training.lora.cohort import checked_cohort
from immunopath.training.lora.manifest import label_counts
from immunopath.training.samples import SAMPLES, TILES, read_samples, write_samples

NOWHERE = Path("no-base")


def rewrite(folder: Path, **changes: Any) -> None:
    """Change every sample of a cohort."""
    samples = [s.model_copy(update=changes) for s in read_samples(folder / SAMPLES)]
    write_samples(folder / SAMPLES, samples)


def check(folder: Path, **changes: Any) -> Any:
    return checked_cohort(tiny_config(NOWHERE, folder, folder / "out", **changes))


def test_the_digests_of_the_manifest_go_along(tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c")
    rows = read_tiles(folder / TILES)
    write_tiles(folder / TILES, [rows[0].model_copy(update={"sha256": "0f"}), *rows[1:]])
    assert check(folder).digests == {folder / str(rows[0].file): "0f"}


def test_a_cohort_is_read_with_its_counts(cohort: Path) -> None:
    found = check(cohort)
    assert (len(found.train), len(found.val)) == (6, 2)
    assert (found.mpp, found.patch_px) == (0.5, 64)
    assert found.origins == {"synthetic": 8}
    assert not found.left_out
    table = label_counts(found.train, ["immune_phenotype", "til_fraction"])
    assert table["immune_phenotype"] == {
        "inflamed": 3, "excluded": 0, "desert": 3, "unknown": 0,
    }  # fmt: skip
    assert table["til_fraction"] == {"number": 6, "unknown": 0}


def test_patients_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    nothing: dict[str, Any] = dict.fromkeys(LOW)
    folder = build_cohort(tmp_path / "c", **nothing)
    rows = [r for r in read_tiles(folder / TILES) if r.patient_id != "P03"]
    write_tiles(folder / TILES, rows)
    found = check(folder)
    assert found.left_out == {
        "P00": "no label of the wanted keys is known",
        "P03": "no rendered tile in the manifest",
    }
    assert len(found.train) == 4


def test_a_field_of_one_class_is_refused_unless_it_is_left_out(tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c")
    labels = [dict(HIGH if i % 2 else LOW) | {"msi_status": "MSS"} for i in range(8)]
    labels[0]["msi_status"] = None
    pairs = zip(read_samples(folder / SAMPLES), labels, strict=True)
    write_samples(folder / SAMPLES, [s.model_copy(update={"labels": lab}) for s, lab in pairs])
    with pytest.raises(OneClassField, match=r"msi_status: every known label of the 6 .* is MSS"):
        check(folder)
    others = [key for key in LOW if key != "msi_status"]
    assert len(check(folder, data={"keys": others}).train) == 6


def test_a_field_that_nobody_knows_is_not_asked(tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c")
    samples = read_samples(folder / SAMPLES)
    known = [s.model_copy(update={"labels": {**s.labels, "tme_subtype": None}}) for s in samples]
    write_samples(folder / SAMPLES, known)
    found = check(folder)
    assert found.unknown == ("tme_subtype",)
    assert found.keys == tuple(key for key in LOW if key != "tme_subtype")
    assert found.summary.endswith("0 left out; no labels of tme_subtype")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": None}, "8 patients are in no split"),
        ({"split": "test"}, "no patient to train on"),
        ({"labels": {}}, "no patient to train on .no label"),
    ],
)
def test_samples_that_cannot_be_trained_on(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = build_cohort(tmp_path / "c")
    rewrite(folder, **changes)
    with pytest.raises(CaseFileError, match=said):
        check(folder)


def test_a_patient_in_two_splits_and_a_label_that_is_nan_are_refused(tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c")
    path = folder / SAMPLES
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[0].replace('"train"', '"val"')]))
    with pytest.raises(CaseFileError, match="'P00' is on line 1 and on line 9"):
        check(folder)
    path.write_text("\n".join(lines).replace("0.29", "NaN"))
    with pytest.raises(CaseFileError, match=r"samples\.jsonl: line 1"):
        check(folder)


def test_tiles_that_cannot_be_trained_on(tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c")
    rows = list(read_tiles(folder / TILES))
    write_tiles(folder / TILES, [*rows, tile("P00", 9, folder, file=None)])
    with pytest.raises(CaseFileError, match=r"1 selected tile has no rendered file .P00-9"):
        check(folder)
    write_tiles(folder / TILES, [*rows, tile("P00", 9, folder, file=None, selected=False)])
    assert len(check(folder).train[0].tiles) == 4
    write_tiles(folder / TILES, [*rows, tile("P00", 9, folder)])
    with pytest.raises(CaseFileError, match=r"P00-9\.png: no such file"):
        check(folder)
    write_tiles(folder / TILES, [*rows[1:], rows[0].model_copy(update={"target_mpp": 0.25})])
    with pytest.raises(CaseFileError, match=r"64 px at 0.25 µm/px and 64 px at 0.5 µm/px"):
        check(folder)


def test_leaks_and_mixed_origins_are_refused(tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c")
    samples = list(read_samples(folder / SAMPLES))
    shared = [
        s.model_copy(update={"slides": ("S1",)}) if i > 4 else s for i, s in enumerate(samples)
    ]
    write_samples(folder / SAMPLES, shared)
    with pytest.raises(LeakageError, match="slide S1"):
        check(folder)
    samples[2] = samples[2].model_copy(update={"origin": "rna"})
    write_samples(folder / SAMPLES, samples)
    with pytest.raises(CaseFileError, match="mixes labels of rna and synthetic origin"):
        check(folder)


def test_settings_that_the_cohort_cannot_serve(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match=r"data\.tiles 2 is below data\.images 3"):
        check(cohort, data={"images": 3})
    folder = build_cohort(tmp_path / "c", val=0)
    with pytest.raises(CaseFileError, match=r"patience needs validation patients"):
        check(folder, run={"patience": 2})
    assert not check(folder).val


def test_a_package_that_is_not_there_is_named(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("immunopath.training.lora.cohort.PACKAGES", ("pyarrow", "no_such_package"))
    with pytest.raises(EngineUnavailable, match=r"needs no_such_package: pip install"):
        check(cohort)
