"""The learning benchmark: its base task tells the truth, its figures have no NaN, its path runs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from immunopath.training.evaluation.baselines import constant
from immunopath.training.evaluation.evaluate import evaluate_sets
from immunopath.training.synthetic.cohort import CohortSettings, make_cohort

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FIGURES = ("til_spearman", "til_mae_skill", "phenotype_balanced_accuracy")
SMALL = CohortSettings(patients=60, tiles=1, size_px=56, mpp=4.0)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_base_s_map_is_the_field_s_truth_and_turns_with_it() -> None:
    from learning_texts import seen

    for tile in make_cohort(SMALL, 5).tiles[:6]:
        field = seen(tile)
        assert field.lymphocytes.sum() == tile.truth.lymphocytes
        assert field.inside.sum() == tile.truth.lymphocytes_inside
        moved = field.turned(1, mirrored=True)
        assert np.array_equal(moved.turned(0, mirrored=True).turned(3, False).nests, field.nests)
        assert np.array_equal(moved.pixels, np.rot90(field.pixels)[:, ::-1])


def test_the_base_learns_from_other_fields_than_the_adapter() -> None:
    from learning import FULL

    def drawn(seed: int) -> set[int]:
        cohort = FULL.cohort.model_copy(update={"patients": 30})
        return {tile.seed for tile in make_cohort(cohort, seed).tiles}

    assert FULL.base.seed != FULL.seed
    assert not drawn(FULL.base.seed) & drawn(FULL.seed)


def test_the_base_s_own_answers_say_nothing_of_an_image() -> None:
    from learning_texts import random_answer

    rng = np.random.default_rng(0)
    answers = [json.loads(random_answer(rng)) for _ in range(400)]
    assert np.mean([a["til_fraction"] for a in answers]) == pytest.approx(0.5, abs=0.06)
    shares = [
        np.mean([a["immune_phenotype"] == v for a in answers]) for v in ("desert", "inflamed")
    ]
    assert shares == pytest.approx([1 / 3, 1 / 3], abs=0.08)


def test_a_constant_has_correlation_0_and_says_so() -> None:
    from learning_figures import detail, figures

    samples = make_cohort(SMALL, 3).samples
    scored = [sample for sample in samples if sample.split == "test"]
    found = figures(evaluate_sets(samples, constant(scored)), None, "x_")
    assert found["x_til_spearman"] == 0.0
    assert found["x_til_mae_skill"] == pytest.approx(0.0, abs=1e-9)
    assert found["x_constant"] is True
    text = json.dumps(detail(evaluate_sets(samples, constant(scored)), None), allow_nan=False)
    assert json.loads(text)["til_spearman"]["constant"] is True


@pytest.mark.slow
def test_quick_runs_the_whole_way(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "learning.py"), "--quick", "--json", str(out)],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    text = out.read_text()
    assert "NaN" not in text
    found = json.loads(text)
    for prefix in ("", "before_", "blank_", "mil_"):
        assert {prefix + name for name in FIGURES} <= set(found)
    assert found["mil_til_spearman"] > 0.5
