"""The MIL benchmark: labels are dealt out within a split, figures have no NaN, its path runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from immunopath.training.evaluation.baselines import constant
from immunopath.training.predictions import FieldAnswer, PatientAnswer
from immunopath.training.samples import Sample
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


def test_splits_are_dealt_out_and_keep_their_sizes() -> None:
    from in_the_large import splits_anew

    samples = make_cohort(SMALL, 5).samples
    assert splits_anew(samples, 0) == list(samples)
    dealt = splits_anew(samples, 1)
    assert [s.split for s in dealt] != [s.split for s in samples]
    assert sorted(str(s.split) for s in dealt) == sorted(str(s.split) for s in samples)
    assert [s.labels for s in dealt] == [s.labels for s in samples]


def test_a_class_that_is_said_too_rarely_shows_its_gap() -> None:
    from in_the_large import in_the_large

    def pair(i: int, truth: str) -> tuple[Sample, PatientAnswer]:
        sample = Sample(patient_id=f"p{i}", split="test", labels={"cd274_expression": truth},
                        origin="synthetic")  # fmt: skip
        table = {"high": 0.1, "low": 0.9}
        answer = FieldAnswer(value="low", probabilities=table)
        fields = {"cd274_expression": answer}
        return sample, PatientAnswer(patient_id=sample.patient_id, fields=fields)

    found = in_the_large([pair(i, "high" if i < 20 else "low") for i in range(100)])
    assert set(found) == {"cd274_expression"}
    high = found["cd274_expression"]["high"]
    assert (high["said"], high["seen"], high["n"]) == (0.1, 0.2, 20)
    assert high["z"] == pytest.approx(0.1 / (0.1 * 0.9 / 100) ** 0.5, abs=0.01)
    assert found["cd274_expression"]["low"]["z"] == -high["z"]


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
