"""Class metrics against scikit-learn, alone and in resamples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from immunopath.training.evaluation import class_metrics as ours
from immunopath.training.evaluation.resample import Floats, Ints, Plan, resamples


def drawn(k: int, n: int = 80, seed: int = 0) -> tuple[Ints, Floats, Ints]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    table = rng.dirichlet(np.ones(k), n)
    table[: n // 4] = np.round(table[: n // 4], 1)  # ties
    table = table / table.sum(axis=1, keepdims=True)
    return truth, table, table.argmax(axis=1)


def normal(table: Floats) -> Floats:
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def macro(truth: Ints, table: Floats, weights: Floats, least: int = 1) -> Floats:
    return ours.macro_auroc(ours.one_vs_rest(truth, table, weights), truth, least)


def repeated(weights: Floats) -> Ints:
    return np.repeat(np.arange(len(weights)), weights.astype(int))


@pytest.mark.parametrize("k", [2, 3, 4])
def test_every_row_is_what_scikit_learn_says_of_that_resample(k: int) -> None:
    truth, table, called = drawn(k)
    weights = resamples(len(truth), Plan(draws=12, seed=5))
    matrices = ours.confusion(truth, called, k, weights)
    for row, w in enumerate(weights):
        idx = repeated(w)
        t, c, p = truth[idx], called[idx], table[idx]
        assert (matrices[row] == sk.confusion_matrix(t, c, labels=range(k))).all()
        pairs = [
            (ours.accuracy(matrices), sk.accuracy_score(t, c)),
            (ours.balanced_accuracy(matrices), sk.balanced_accuracy_score(t, c)),
            (ours.macro_f1(matrices), sk.f1_score(t, c, average="macro")),
            (
                ours.log_loss(truth, table, weights),
                sk.log_loss(t, normal(np.clip(p, 1e-6, 1)), labels=range(k)),
            ),
        ]
        if k == 2:
            pairs += [
                (macro(truth, table, weights), sk.roc_auc_score(t == 0, p[:, 0])),
                (ours.brier(truth, table, weights), sk.brier_score_loss(t == 0, p[:, 0])),
            ]
        else:
            pairs.append((macro(truth, table, weights), sk.roc_auc_score(t, p, multi_class="ovr")))
        for mine, theirs in pairs:
            assert mine[row] == pytest.approx(theirs, abs=5e-6)


def test_brier_of_more_classes_is_summed() -> None:
    truth, table = np.array([0, 1]), np.array([[1.0, 0, 0], [1.0, 0, 0]])
    assert ours.brier(truth, table, np.ones((1, 2)))[0] == pytest.approx(1.0)


def test_a_class_that_is_missing_from_truth_does_not_count() -> None:
    truth, called = np.array([0, 0, 1]), np.array([0, 2, 1])
    table = ours.confusion(truth, called, 3, np.ones((1, 3)))
    assert ours.balanced_accuracy(table)[0] == pytest.approx(0.75)
    areas = ours.one_vs_rest(truth, np.full((3, 3), 1 / 3), np.ones((1, 3)))[0]
    assert areas[:2] == pytest.approx([0.5, 0.5])
    assert np.isnan(areas[2])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_order_of_patients_does_not_matter(seed: int, k: int) -> None:
    truth, table, called = drawn(k, 30, seed)
    order = np.random.default_rng(seed).permutation(30)
    one = np.ones((1, 30))
    for f in (macro, ours.brier, ours.log_loss):
        assert f(truth, table, one) == pytest.approx(f(truth[order], table[order], one))
    assert (
        ours.confusion(truth, called, k, one) == ours.confusion(truth[order], called[order], k, one)
    ).all()


def test_a_class_of_one_patient_has_no_area() -> None:
    truth = np.array([0] * 6 + [1] * 6 + [2])
    table = np.full((13, 3), 0.1)
    table[np.arange(13), truth] = 0.8
    table[12] = 0.8, 0.1, 0.1  # the lone one is missed
    ones = np.ones((1, 13))
    assert macro(truth, table, ones)[0] < 0.85
    assert macro(truth, table, ones, 6)[0] > 0.95
