"""The run-v3.1 stage of the learning benchmark: what its base practises, and what is reported."""

import json
from pathlib import Path

import numpy as np
import pytest

from immunopath.models.foundation.medgemma.prompts import CANCER_TYPES, prompt_of
from immunopath.training.lora.config import merged
from immunopath.training.lora.config_file import make_config
from immunopath.training.samples import Sample
from immunopath.training.synthetic.cohort import CohortSettings, make_cohort

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SMALL = CohortSettings(patients=60, tiles=1, size_px=56, mpp=4.0)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_practised_answers_have_the_run_s_layout_and_say_nothing_of_an_image() -> None:
    from learning_run31 import random_run_answer
    from learning_texts import seen

    fields = [seen(tile) for tile in make_cohort(SMALL, 5).tiles[:2]]
    alike, other = (
        [random_run_answer(np.random.default_rng(k), shown) for k in range(400)]
        for shown in (fields, fields[::-1])
    )
    assert alike == other
    answers = [json.loads(text) for text in alike]
    assert all(json.dumps(a, indent=2) == text for a, text in zip(answers, alike, strict=True))
    shares = [np.mean([a["tme_subtype"] == v for a in answers]) for v in ("IE", "IE/F", "F", "D")]
    assert shares == pytest.approx([0.25] * 4, abs=0.08)
    assert np.mean([a["til_fraction"] for a in answers]) == pytest.approx(0.5, abs=0.06)


def test_it_is_asked_as_the_preset_asks_and_on_other_fields() -> None:
    from learning import FULL
    from learning_run31 import ANSWERS, PRACTICE

    assert {task.prompt for task in ANSWERS} == {
        prompt_of("v3.1-run").filled(words) for words in CANCER_TYPES.values()
    }
    config = make_config({"preset": "run-v3.1", "base": "b", "cohort": "c", "out": "o"})
    assert {task.images for task in ANSWERS} == {config.data.images}
    assert len({PRACTICE.seed, FULL.base.seed, FULL.seed}) == 3


def test_variants_change_what_they_say_and_nothing_else() -> None:
    from learning_run31 import HERE, VARIANTS

    where = {"preset": "run-v3.1", "base": "b", "cohort": "c", "out": "o"}
    own = make_config(merged(where, HERE))
    parts = {
        name: {
            part
            for part in ("data", "lora", "optim", "loss", "run")
            if getattr(made, part) != getattr(own, part)
        }
        for name, made in (
            (name, make_config(_all(where, (HERE, *changes)))) for name, changes in VARIANTS.items()
        )
    }
    assert parts["rate"] == {"optim"}
    assert parts["fields"] == {"loss"}
    assert parts["tiles"] == {"data"}
    assert parts["rate_fields_tiles"] == {"optim", "loss", "data"}


def _all(first: dict[str, object], changes: tuple[dict[str, object], ...]) -> dict[str, object]:
    for change in changes:
        first = merged(first, change)
    return first


def test_what_the_shares_alone_reach_in_nats() -> None:
    from learning_run31 import marginal_nats

    def sample(i: int, split: str, fraction: float, phenotype: str) -> Sample:
        labels = {"til_fraction": fraction, "immune_phenotype": phenotype}
        return Sample.model_validate({
            "patient_id": f"p{i}", "split": split, "origin": "synthetic", "labels": labels,
        })  # fmt: skip

    train = [sample(i, "train", 0.25, "desert") for i in range(97)]
    found = marginal_nats([*train, sample(98, "val", 0.21, "desert")])
    assert found["immune_phenotype"] == pytest.approx(-np.log(98 / 100), abs=1e-3)
    assert found["til_fraction"] == pytest.approx(np.log(100) - np.log(98 / 107), abs=1e-3)
