import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rna_cohort import make_cohort, write_gmt

from immunopath.domain.errors import GeneMissing, LabelError, OneClassField
from immunopath.training.labels.calls import Tme
from immunopath.training.labels.ssgsea import read_gmt, ssgsea
from immunopath.training.labels.subtypes import (
    Kind,
    SubtypeModel,
    fit_subtypes,
    mean_absolute_deviation,
)

COHORT = make_cohort(80, seed=3)
KINDS: tuple[Kind, ...] = ("knn", "nearest-centroid")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    return read_gmt(write_gmt(tmp_path_factory.mktemp("gmt") / "s.gmt"))


@pytest.fixture(scope="module")
def scores(sets: dict[str, tuple[str, ...]]) -> dict[str, dict[str, float]]:
    return {p: ssgsea(COHORT.log2[p], sets) for p in COHORT.patients}


def published(patients: tuple[str, ...]) -> dict[str, Tme]:
    return {p: COHORT.tme[p] for p in patients}  # type: ignore[misc]


def first(scores: dict[str, dict[str, float]], n: int) -> dict[str, dict[str, float]]:
    return {p: scores[p] for p in COHORT.patients[:n]}


def test_enrichment_of_the_top_genes_is_highest() -> None:
    expression = {f"G{i}": float(i) for i in range(100)}
    sets = {"top": ("G98", "G99"), "middle": ("G49", "G50"), "bottom": ("G0", "G1")}
    found = ssgsea(expression, sets)
    assert found["top"] > found["middle"] > found["bottom"]
    assert found["top"] == pytest.approx(99.5 - (100 - 2 + 1) / 2, abs=0.01)


@given(st.lists(st.floats(0, 20), min_size=6, max_size=40), st.sampled_from([1.0, 3.0]))
def test_enrichment_sees_ranks_only(values: list[float], factor: float) -> None:
    """Against pandas ranks and the formula written out; any monotone unit gives the same."""
    expression = {f"G{i}": v for i, v in enumerate(values)}
    genes = ("G0", "G2", "G5")
    ranks = pd.Series(expression).rank(method="max")
    inside = ranks[list(genes)]
    expected = (inside**1.25).sum() / (inside**0.25).sum() - (len(values) - 3 + 1) / 2
    scaled = {g: v * factor for g, v in expression.items()}
    assert ssgsea(scaled, {"s": genes})["s"] == pytest.approx(expected)


def test_a_set_that_a_sample_does_not_name_is_an_error_and_no_zero() -> None:
    with pytest.raises(GeneMissing, match="set s: 2 of 3 genes are missing: X, Y"):
        ssgsea({"G1": 1.0, "G2": 2.0}, {"s": ("G1", "X", "Y")})
    with pytest.raises(GeneMissing, match=r"are missing: X0, X1, X10, X11, X12, …$"):
        ssgsea({"G1": 1.0, "G2": 2.0}, {"s": tuple(f"X{i}" for i in range(99))})


def test_mad_is_the_mean_absolute_deviation_from_the_mean() -> None:
    values = [0.0, 0.0, 0.0, 10.0]
    assert mean_absolute_deviation(values) == 3.75
    assert float(np.median(np.abs(np.array(values) - np.median(values)))) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_classifier_finds_held_out_subtypes(
    kind: Kind, sets: dict[str, tuple[str, ...]], scores: dict[str, dict[str, float]]
) -> None:
    model = fit_subtypes(first(scores, 60), published(COHORT.patients), sets, kind=kind)
    found = model.predict({p: scores[p] for p in COHORT.patients[60:]})
    right = sum(found[p] == COHORT.tme[p] for p in COHORT.patients[60:])
    assert right / 20 > 0.6  # chance is 0.25
    assert model.quality is not None
    assert model.quality.balanced_accuracy > 0.5 > model.quality.majority_accuracy


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_classifier_gives_the_same_classes(
    kind: Kind, sets: dict[str, tuple[str, ...]], scores: dict[str, dict[str, float]]
) -> None:
    model = fit_subtypes(first(scores, 60), published(COHORT.patients), sets, kind=kind)
    again = SubtypeModel.model_validate(json.loads(model.model_dump_json()))
    assert again == model
    assert again.predict(scores) == model.predict(scores)
    alone = COHORT.patients[70]
    assert model.predict({alone: scores[alone]})[alone] == model.predict(scores)[alone]


def test_centroids_are_one_a_class(
    sets: dict[str, tuple[str, ...]], scores: dict[str, dict[str, float]]
) -> None:
    model = fit_subtypes(
        first(scores, 60), published(COHORT.patients), sets, kind="nearest-centroid"
    )
    assert model.classes == ("D", "F", "IE", "IE/F")
    nearest = {
        p: model.classes[int(np.argmin([np.linalg.norm(row - np.array(c)) for c in model.points]))]
        for p, row in zip(scores, _scaled(model, scores), strict=True)
    }
    assert model.predict(scores) == nearest


def _scaled(model: SubtypeModel, scores: dict[str, dict[str, float]]) -> np.ndarray:
    table = np.array([[row[name] for name in model.sets] for row in scores.values()])
    return np.clip((table - np.array(model.centre)) / np.array(model.spread), -2, 2)


def test_what_cannot_be_fitted_is_named(
    sets: dict[str, tuple[str, ...]], scores: dict[str, dict[str, float]]
) -> None:
    with pytest.raises(LabelError, match="9 training patients have a published subtype"):
        fit_subtypes(scores, published(COHORT.patients[:9]), sets)
    same: dict[str, Tme] = dict.fromkeys(COHORT.patients, "IE")
    with pytest.raises(OneClassField, match="tme_subtype: all 80 training patients are IE"):
        fit_subtypes(scores, same, sets)
    flat = {p: row | {"immune": 1.0} for p, row in scores.items()}
    with pytest.raises(LabelError, match="set immune scores the same"):
        fit_subtypes(flat, published(COHORT.patients), sets)
    model = fit_subtypes(scores, published(COHORT.patients), sets)
    with pytest.raises(GeneMissing, match="patient new: no score of set fibrous"):
        model.predict({"new": {"immune": 1.0}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no gene set"),
        ("a\tb\n", "line 1: is no gene set"),
        ("\tb\tCD4\n", "line 1: is no gene set"),
        ("a\tb\tCD4\na\tb\tCD8A\n", "line 2: set 'a' is there twice"),
    ],
)
def test_a_bad_gmt_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.gmt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=message):
        read_gmt(path)
    with pytest.raises(LabelError, match="no such file"):
        read_gmt(tmp_path / "none.gmt")
