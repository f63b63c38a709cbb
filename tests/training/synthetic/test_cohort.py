"""A synthetic cohort: labels follow the truth as closely as asked, splits part patients."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.imaging.tile_manifest import read_tiles
from immunopath.training.labels.fields import VARIANTS
from immunopath.training.samples import SAMPLES, TILES, read_samples
from immunopath.training.synthetic import CAPTION
from immunopath.training.synthetic.cohort import CohortSettings, SyntheticCohort, make_cohort
from immunopath.training.synthetic.folder import TRUTH, read_truth, write_cohort

SMALL = CohortSettings(patients=12, tiles=2, size_px=48, mpp=2.0)


def many(noise: float, **changes: float) -> SyntheticCohort:
    values = {"patients": 250, "tiles": 2, "size_px": 64, "mpp": 4.0, "noise": noise, **changes}
    return make_cohort(CohortSettings.model_validate(values), 1)


def numbers(cohort: SyntheticCohort, name: str) -> np.ndarray:
    return np.array([sample.labels[name] for sample in cohort.samples], dtype=float)


def same_bytes(one: Path, other: Path) -> bool:
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


def test_a_folder_is_a_cohort_folder_and_says_what_it_is(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "a", SMALL, 3)
    samples, rows = read_samples(tmp_path / "a" / SAMPLES), read_tiles(tmp_path / "a" / TILES)
    assert samples == cohort.samples
    assert {sample.origin for sample in samples} == {"synthetic"}
    assert all(sample.patient_id.startswith("SYN-") for sample in samples)
    assert {sample.split for sample in samples} == {"train", "val", "test"}
    assert all(tuple(sample.labels) == tuple(FIELD_VALUES) for sample in samples)
    assert len(rows) == 24
    for row, tile in zip(rows, cohort.tiles, strict=True):
        with Image.open(tmp_path / "a" / str(row.file)) as image:
            assert image.text["Description"] == CAPTION
            assert np.array_equal(np.asarray(image), tile.pixels())
    assert json.loads((tmp_path / "a" / TRUTH).read_text())["caption"] == CAPTION
    assert read_truth(tmp_path / "a" / TRUTH) == cohort.truths


def test_the_same_seed_gives_the_same_folder(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_cohort(tmp_path / name, SMALL, seed)
    assert same_bytes(tmp_path / "a", tmp_path / "b")
    assert not same_bytes(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_labels_follow_the_truth_at_the_chosen_ratio(noise: float) -> None:
    cohort = many(noise, patients=700, tiles=1)
    noisy = [truth.scores.til for truth in cohort.truths]
    clean = [truth.clean_scores.til for truth in cohort.truths]
    expected = 1 / np.sqrt(1 + noise**2)
    assert np.corrcoef(noisy, clean)[0, 1] == pytest.approx(expected, abs=0.08)


def test_without_noise_the_label_is_the_truth() -> None:
    cohort = many(0.0)
    shares = [truth.share for truth in cohort.truths]
    assert spearmanr(numbers(cohort, "til_fraction"), shares).statistic > 0.999
    for sample, truth in zip(cohort.samples, cohort.truths, strict=True):
        assert sample.labels == truth.clean_labels
    assert {sample.labels["immune_phenotype"] for sample in cohort.samples} == set(
        FIELD_VALUES["immune_phenotype"] or ()
    )


def test_what_the_image_cannot_show_is_independent_of_it() -> None:
    cohort = many(0.3)
    unstable = np.array([s.labels["msi_status"] == "MSI-H" for s in cohort.samples])
    shares = np.array([truth.share for truth in cohort.truths])
    assert 0 < unstable.mean() < 0.1
    assert abs(shares[unstable].mean() - shares[~unstable].mean()) < 0.15


def test_constants_come_from_the_training_split_alone() -> None:
    cohort = many(0.3)
    train = np.array([sample.split == "train" for sample in cohort.samples])
    til = np.array([truth.scores.til for truth in cohort.truths])
    median = cohort.constants.constants.til_median
    assert median == pytest.approx(np.median(til[train]), abs=1e-4)
    assert median != pytest.approx(np.median(til), abs=1e-4)


def test_density_is_the_fraction_cut_where_the_cohort_says() -> None:
    for variant in VARIANTS:
        cohort = make_cohort(CohortSettings(patients=80, tiles=1, size_px=32, variant=variant), 2)
        cuts = cohort.constants.cut_points
        for sample in cohort.samples:
            fraction = sample.labels["til_fraction"]
            assert isinstance(fraction, float)
            assert cuts.density_class(fraction) == sample.labels["til_density"]


def test_a_biased_site_decides_how_inflamed_its_patients_are() -> None:
    def between(bias: float) -> float:
        cohort = many(0.3, site_bias=bias)
        til, sites = numbers(cohort, "til_fraction"), [s.site for s in cohort.samples]
        means = [til[[s == site for s in sites]].mean() for site in sorted(set(sites))]
        return float(np.std(means))

    assert between(1.0) > 4 * between(0.0)


def test_the_command_writes_a_cohort(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        [
            "synthetic",
            str(tmp_path / "c"),
            "--patients",
            "10",
            "--tiles",
            "1",
            "--size",
            "32",
            "--mpp",
            "8",
        ],
    )
    assert done.exit_code == 0
    assert CAPTION in done.output
    assert len(read_samples(tmp_path / "c" / SAMPLES)) == 10


def test_impossible_settings_and_a_full_folder_are_refused(tmp_path: Path) -> None:
    runner = CliRunner()
    wrong = runner.invoke(app, ["synthetic", str(tmp_path / "c"), "--patients", "3"])
    assert isinstance(wrong.exception, CaseFileError)
    assert "patients" in str(wrong.exception)
    (tmp_path / "x").write_text("")
    file = runner.invoke(app, ["synthetic", str(tmp_path / "x")])
    assert isinstance(file.exception, CaseFileError)
    full = runner.invoke(app, ["synthetic", str(tmp_path)])
    assert isinstance(full.exception, CaseFileError)
    assert "not an empty folder" in str(full.exception)


def test_another_file_is_no_truth(tmp_path: Path) -> None:
    path = tmp_path / TRUTH
    path.write_text('{"patients": [{"share": 1}]}')
    with pytest.raises(CaseFileError, match="is not the truth"):
        read_truth(path)
