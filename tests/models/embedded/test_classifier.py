import hashlib
import json
from importlib.resources import files

import numpy as np
import pytest

from immunopath.domain.errors import EngineError
from immunopath.models.embedded.classifier import (
    CONSTANTS,
    from_json,
    gain_from,
    shipped,
)
from immunopath.models.embedded.features import NAMES


def _text() -> str:
    return files("immunopath.models.embedded").joinpath(CONSTANTS).read_text("utf-8")


def test_the_weights_digest_is_the_sha256_of_the_shipped_file() -> None:
    assert shipped().digest == hashlib.sha256(_text().encode()).hexdigest()


def test_the_constants_say_what_they_were_fitted_on() -> None:
    constants = shipped().constants
    assert constants.fit_images == 10
    assert "NuCLS" in constants.fit_data
    assert len(constants.fit_data_sha256) == 64
    assert constants.correction.floor < constants.correction.ceiling
    assert "not fitted here" in constants.correction.source


def test_probabilities_are_a_softmax_of_standardised_features() -> None:
    classifier, rng = shipped(), np.random.default_rng(0)
    c = classifier.constants
    x = np.array(c.mean) + np.array(c.scale) * rng.normal(size=(20, len(NAMES)))
    table = classifier.probabilities(x.astype(np.float32), 1.0)
    scores = (x - c.mean) / c.scale @ np.array(c.coefficients).T + c.intercepts
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table, expected, atol=2e-4)
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)


def test_decide_uses_both_thresholds() -> None:
    table = np.array([[0.6, 0.4, 0.0], [0.4, 0.33, 0.27], [0.2, 0.6, 0.2]], np.float32)
    nucleus, share, lymphocyte = shipped().decide(table)
    assert nucleus.tolist() == [False, True, True]
    assert lymphocyte.tolist() == [False, False, True]
    np.testing.assert_allclose(share, [1.0, 0.55, 0.75], atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"feature_names": list(reversed(NAMES))},
        {"mean": [0.0]},
        {"scale": [0.0] * len(NAMES)},
        {"coefficients": [[0.0] * len(NAMES)] * 2},
        {"intercepts": [0.0]},
        {"unknown": 1},
        {"nucleus_threshold": 1.5},
    ],
)
def test_a_constants_file_that_does_not_fit_the_code_is_refused(change: dict) -> None:
    with pytest.raises(EngineError, match=r"nuclei\.json cannot be used"):
        from_json(json.dumps({**json.loads(_text()), **change}))


def test_a_file_that_is_not_json_is_refused() -> None:
    with pytest.raises(EngineError, match=r"run scripts/fit_nuclei\.py"):
        from_json("{")


def test_gain_brings_pale_and_dark_stain_half_way_and_stays_in_range() -> None:
    assert gain_from(np.full(50, 0.9, np.float32)) == pytest.approx(1)
    assert gain_from(np.full(50, 0.225, np.float32)) == pytest.approx(2)
    assert gain_from(np.full(50, 1e-6, np.float32)) == 2.5
    assert gain_from(np.full(50, 100.0, np.float32)) == 0.25
    assert gain_from(np.zeros(0, np.float32)) == 1
