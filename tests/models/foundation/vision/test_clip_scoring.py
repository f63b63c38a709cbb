"""The arithmetic from cosines to phenotype scores, by hand, and what makes the scorer abstain."""

import math
from pathlib import Path

import numpy as np
import pytest

from immunopath.domain.errors import EngineMismatch, EngineUnavailable
from immunopath.models.foundation.vision.clip_scoring import (
    PhenotypeCalibration,
    load_calibration,
    pool,
    why_abstain,
)
from immunopath.models.foundation.vision.phenotype_prompts import (
    PHENOTYPES,
    PromptEnsemble,
    load_prompts,
    parse_prompts,
    shipped_prompts,
)

TWO = PromptEnsemble.model_validate(
    {
        "version": "t",
        "sets": [
            {"id": "a", "inflamed": "a in", "excluded": "a ex", "desert": "a de"},
            {"id": "b", "inflamed": "b in", "excluded": "b ex", "desert": "b de"},
        ],
    }
)


def cosines(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_each_set_has_its_softmax_and_the_score_is_their_mean() -> None:
    ln = math.log
    found = pool(cosines([ln(2) / 10, 0, 0, 0, ln(3) / 10, 0]), TWO, scale=10, bias=None)
    # set a: 2/4, 1/4, 1/4; set b: 1/5, 3/5, 1/5
    assert found.scores == pytest.approx({"inflamed": 0.35, "excluded": 0.425, "desert": 0.225})
    assert found.leader == "excluded"
    assert found.margin == pytest.approx(0.075)
    assert found.agreement == 0.5
    assert found.sigmoid is None


def test_the_sigmoid_is_another_number_and_the_bias_moves_only_it() -> None:
    rows = cosines([0.3, 0.1, 0.0, 0.2, 0.1, 0.1])
    low, high = pool(rows, TWO, 10, -4.0), pool(rows, TWO, 10, 2.0)
    assert low.scores == pytest.approx(high.scores)
    assert low.sigmoid is not None
    assert low.sigmoid[0] == pytest.approx(1 / (1 + math.exp(1.0)), abs=1e-6)
    assert high.sigmoid is not None
    assert sum(high.sigmoid[:3]) > 1.5  # no shares of a whole


def test_views_are_pooled_as_probabilities_not_as_logits() -> None:
    sure, unsure = [1.0, 0, 0, 1.0, 0, 0], [0, 0.02, 0, 0, 0.02, 0]
    found = pool(cosines(sure, unsure, unsure), TWO, 100, None)
    one = math.exp(2) / (math.exp(2) + 2)
    assert found.scores["excluded"] == pytest.approx(2 * one / 3, abs=1e-6)
    assert found.view_agreement == pytest.approx(2 / 3)


def test_a_large_scale_does_not_overflow() -> None:
    found = pool(cosines([1, -1, -1, 1, -1, -1]), TWO, 1e5, -10.0)
    assert found.scores["inflamed"] == 1
    assert found.sigmoid is not None
    assert all(0 <= p <= 1 for p in found.sigmoid)


def test_disagreeing_prompts_and_close_scores_abstain_with_their_numbers() -> None:
    split = pool(cosines([1, 0, 0, 0, 1, 0]), TWO, 10, None)
    assert "50% of the prompt sets" in why_abstain(split, 0.1, 0.6)
    close = pool(cosines([0.01, 0, 0, 0.01, 0, 0]), TWO, 1, None)
    assert "too close" in why_abstain(close, 0.1, 0.6)
    clear = pool(cosines([1, 0, 0, 1, 0, 0]), TWO, 10, None)
    assert why_abstain(clear, 0.1, 0.6) == ""


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(EngineMismatch, match=r"not \(views, 6\)"):
        pool(cosines([1, 0, 0]), TWO, 1, None)


def calibration(**changes: object) -> PhenotypeCalibration:
    given: dict[str, object] = {
        "format": "immunopath-phenotype-calibration-1",
        "weights_digest": "w", "prompt_digest": TWO.digest, "preprocess": "p",
        "temperature": 2.0, "shift": {"desert": 1.0}, "cohort": "ten cases", "n": 10,
    }  # fmt: skip
    return PhenotypeCalibration.model_validate(given | changes)


def test_a_calibration_shifts_and_cools_the_logits() -> None:
    found = pool(cosines([1.0, 0, 0, 1.0, 0, 0]), TWO, 2, None, calibration())
    total = math.exp(1) + 1 + math.exp(0.5)
    assert found.scores["inflamed"] == pytest.approx(math.exp(1) / total)
    assert found.scores["desert"] == pytest.approx(math.exp(0.5) / total)


@pytest.mark.parametrize(("key", "word"), [
    ("weights_digest", "weights"), ("prompt_digest", "prompts"), ("preprocess", "preprocessing"),
])  # fmt: skip
def test_a_calibration_of_something_else_is_refused(key: str, word: str) -> None:
    calibration().check("w", TWO.digest, "p")
    with pytest.raises(EngineMismatch, match=f"other {word}"):
        calibration(**{key: "other"}).check("w", TWO.digest, "p")


def test_calibration_files(tmp_path: Path) -> None:
    good = tmp_path / "c.json"
    good.write_text(calibration().model_dump_json())
    assert load_calibration(str(good)) == calibration()
    good.write_text('{"temperature": 0}')
    with pytest.raises(EngineUnavailable, match="not a phenotype calibration"):
        load_calibration(str(good))
    with pytest.raises(EngineUnavailable, match="no such file"):
        load_calibration(str(tmp_path / "none.json"))


def test_the_shipped_prompts_are_parallel_sets_over_the_three_phenotypes() -> None:
    shipped = shipped_prompts()
    assert PHENOTYPES == ("inflamed", "excluded", "desert")
    assert len(shipped.prompts) == 3 * len(shipped.sets) == len(shipped.prompt_ids)
    assert shipped.prompts[1] == shipped.sets[0].excluded
    assert shipped.prompt_ids[1] == f"{shipped.sets[0].id}.excluded"


def test_the_digest_follows_every_word_and_not_the_layout(tmp_path: Path) -> None:
    text = "version: '1'\nsets:\n"
    for name in "ab":
        text += f"- {{id: {name}, inflamed: {name} in, excluded: {name} ex, desert: {name} de}}\n"
    first = parse_prompts(text, "x")
    assert parse_prompts("# a remark\n" + text.replace("- {", "-   {"), "x").digest == first.digest
    assert parse_prompts(text.replace("b de", "b none"), "x").digest != first.digest
    assert parse_prompts(text.replace("'1'", "'2'"), "x").digest != first.digest
    path = tmp_path / "p.yaml"
    path.write_text(text)
    assert load_prompts(str(path)) == first


@pytest.mark.parametrize(
    "text",
    ["sets: [", "version: '1'\nsets: []", "version: '1'\nsets: [{id: a, inflamed: xxx}]", "[]",
     "version: '1'\nsets: [{id: a, inflamed: abc, excluded: abc, desert: abd}, "
     "{id: b, inflamed: bbc, excluded: bbd, desert: bbe}]"],
)  # fmt: skip
def test_a_prompt_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(EngineUnavailable, match="not a prompt ensemble"):
        load_prompts(str(path))
    with pytest.raises(EngineUnavailable, match="no such file"):
        load_prompts(str(tmp_path / "absent.yaml"))
