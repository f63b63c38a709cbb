"""The MIL benchmark: labels are dealt out within a split, figures have no NaN, its path runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from immunopath.training.evaluation.baselines import constant
from immunopath.training.synthetic.cohort import CohortSettings, make_cohort

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SMALL = CohortSettings(patients=60, tiles=1, size_px=56, mpp=4.0)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_labels_are_dealt_out_anew_within_train_and_val() -> None:
    from mil import dealt_out_anew

    samples = make_cohort(SMALL, 5).samples
    mixed = dealt_out_anew(samples, 1)
    for split in ("train", "val", "test"):
        before = [s.labels for s in samples if s.split == split]
        after = [s.labels for s in mixed if s.split == split]
        assert (before == after) == (split == "test")
        assert sorted(map(str, before)) == sorted(map(str, after))
    assert [s.patient_id for s in mixed] == [s.patient_id for s in samples]


def test_the_correlation_of_a_constant_is_zero_and_says_so() -> None:
    from mil import figures

    samples = make_cohort(SMALL, 5).samples
    found = figures(constant(samples), samples)
    assert found["til_spearman"] == 0
    assert found["til_spearman_constant"] is True
    assert found["til_mae_skill"] == 0
    assert "NaN" not in json.dumps(found)


def test_labels_against_themselves_are_perfect() -> None:
    from mil import as_answers, figures

    samples = make_cohort(SMALL, 5).samples
    found = figures(as_answers(samples), samples)
    assert found["til_spearman"] == found["phenotype_balanced_accuracy"] == 1


@pytest.mark.slow
def test_the_whole_path_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "mil.py"), "--quick", "--json", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["til_spearman"] > 0.6
    assert abs(found["shuffled_labels_til_spearman"]) < 0.6
    assert found["blank_til_spearman_constant"] is True
    assert [row["noise"] for row in found["noise_curve"]] == [0.0, 0.3, 0.6, 1.0, 1.5, 2.5]
