"""The phenotype engine's numbers: one file, checked before it is used, named when it is wrong."""

import hashlib
import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from immunopath.domain.errors import EngineError
from immunopath.models.embedded.phenotype_constants import (
    CONSTANTS,
    Head,
    Layout,
    from_json,
    shipped,
)
from immunopath.models.embedded.texture import FEATURES

TEXT = files("immunopath.models.embedded").joinpath(CONSTANTS).read_text("utf-8")
N = len(FEATURES)
rows = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.just(N)), elements=st.floats(-1e4, 1e4, width=32)
)


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(TEXT) | changes)


def plain() -> dict[str, Any]:
    """Return constants whose heads read one feature each, so that results are known."""
    first = FEATURES[0]
    return {
        "mean": [0.0] * N,
        "scale": [1.0] * N,
        "clip": 3.0,
        "share": {"intercept": 0.0, "weights": {first: 1.0}},
        "nest": {"intercept": 1.0, "weights": {}},
        "root_nuclei": {"intercept": 2.0, "weights": {first: -1.0}},
    }


def test_the_digest_is_that_of_the_shipped_file() -> None:
    assert shipped().digest == hashlib.sha256(TEXT.encode()).hexdigest()
    assert shipped() is shipped()
    assert from_json(TEXT).digest == shipped().digest


def test_any_change_of_the_file_changes_the_digest() -> None:
    assert from_json(changed(seed=1)).digest != shipped().digest
    assert from_json(TEXT + " ").digest != shipped().digest


def test_the_file_says_what_it_was_fitted_on() -> None:
    constants = shipped().constants
    assert constants.fit_data
    assert len(constants.fit_data_sha256) == 64
    assert constants.feature_names == FEATURES


@settings(deadline=None)
@given(rows)
def test_shares_are_shares_and_counts_are_counts(features: np.ndarray) -> None:
    share, nest, per_mm2 = shipped().heads(features)
    assert share.shape == nest.shape == per_mm2.shape == features.shape[:1]
    for values in (share, nest):
        assert ((values >= 0) & (values <= 1)).all()
    assert (per_mm2 >= 0).all()
    assert np.isfinite(per_mm2).all()
    assert {values.dtype for values in (share, nest, per_mm2)} == {np.dtype(np.float32)}


def test_heads_are_the_stated_formulas() -> None:
    model = from_json(changed(**plain()))
    features = np.zeros((4, N), np.float32)
    features[:, 0] = (-1.0, 0.0, 1.0, 5.0)
    share, nest, per_mm2 = model.heads(features)
    clipped = np.clip(features[:, 0], -3, 3)
    assert share == pytest.approx(1 / (1 + np.exp(-clipped)), rel=1e-5)
    assert nest == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-5)
    assert per_mm2 == pytest.approx(np.maximum(2 - clipped, 0) ** 2 * 1600, rel=1e-5)


def test_far_features_are_held_to_what_the_fit_saw() -> None:
    model = from_json(changed(**plain()))
    near, far = (np.full((1, N), value, np.float32) for value in (3.0, 1e30))
    for one, other in zip(model.heads(near), model.heads(far), strict=True):
        assert one == other


def test_a_map_of_blocks_keeps_its_shape() -> None:
    features = np.zeros((6, 5, N), np.float32)
    assert {values.shape for values in shipped().heads(features)} == {(6, 5)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "not json",
        changed(feature_names=list(reversed(FEATURES))),
        changed(feature_names=list(FEATURES[:-1])),
        changed(mean=[0.0] * (N - 1)),
        changed(scale=[1.0] * (N - 1) + [0.0]),
        changed(scale=[1.0] * (N - 1) + [-1.0]),
        changed(clip=0),
        changed(share={"intercept": 0.0, "weights": {"colour of the moon": 1.0}}),
        changed(share={"intercept": float("nan"), "weights": {}}),
        changed(surprise=1),
    ],
    ids=range(13),
)
def test_a_file_that_does_not_fit_is_one_line_with_the_remedy(text: str) -> None:
    with pytest.raises(EngineError, match=r"phenotype\.json cannot be used") as caught:
        from_json(text)
    assert str(caught.value).isprintable()
    assert "scripts/fit_phenotype.py" in str(caught.value)


def test_what_was_declared_and_not_fitted_has_its_defaults() -> None:
    layout = Layout()
    assert layout.min_field_um == 200
    assert 0 < layout.nest_likeness < 1
    assert layout.min_nest_patch_mm2 <= layout.min_nest_mm2 <= layout.min_tissue_mm2


def test_a_head_without_weights_is_a_constant() -> None:
    assert Head(intercept=1.5, weights={}).weights == {}
