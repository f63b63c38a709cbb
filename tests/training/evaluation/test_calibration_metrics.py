"""Calibration error, reliability, CRPS and coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.prediction import GRID
from immunopath.training.evaluation import calibration_metrics as ours
from immunopath.training.evaluation.resample import Floats


def test_a_model_that_tells_the_truth_has_a_small_error_and_its_floor() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    seen = (rng.random(20_000) < said).astype(float)
    assert ours.ece(said, seen) < 0.01
    assert ours.ece(np.clip(said + 0.2, 0, 1), seen) == pytest.approx(0.2, abs=0.03)


def test_the_floor_is_what_truths_drawn_from_the_table_give() -> None:
    rng = np.random.default_rng(1)
    table = rng.dirichlet(np.ones(3), 300)
    mean, high = ours.ece_if_calibrated(table, seed=2)
    truths = [
        (rng.random((300, 1)) > np.cumsum(table, axis=1)[:, :2]).sum(axis=1) for _ in range(100)
    ]
    own = [ours.ece(*ours.confidence_of(t, table)) for t in truths]
    assert mean == pytest.approx(np.mean(own), abs=0.006)
    assert mean < high < 2 * mean


def test_the_pair_that_is_judged() -> None:
    said, seen = ours.confidence_of(np.array([0, 1]), np.array([[0.2, 0.8], [0.2, 0.8]]))
    assert (said.tolist(), seen.tolist()) == ([0.2, 0.2], [1.0, 0.0])
    said, seen = ours.confidence_of(np.array([0, 1]), np.array([[0.2, 0.5, 0.3]] * 2))
    assert (said.tolist(), seen.tolist()) == ([0.5, 0.5], [0.0, 1.0])


def test_equal_confidence_is_one_bin_so_a_constant_has_one_gap() -> None:
    seen = np.array([1.0] * 30 + [0.0] * 70)
    assert ours.ece(np.full(100, 0.4), seen) == pytest.approx(0.1)
    points = ours.reliability(np.full(100, 0.4), seen)
    assert [(p.said, p.seen, p.n) for p in points] == [(pytest.approx(0.4), 0.3, 100)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=60), st.randoms()
)
def test_the_order_of_patients_does_not_matter(pairs: list[tuple[int, bool]], rng: object) -> None:
    mixed = list(pairs)
    rng.shuffle(mixed)  # type: ignore[attr-defined]

    def of(given_: list[tuple[int, bool]]) -> float:
        return ours.ece(
            np.array([p[0] / 10 for p in given_]), np.array([float(p[1]) for p in given_])
        )

    assert of(pairs) == pytest.approx(of(mixed))


def test_reliability_points_carry_everybody() -> None:
    rng = np.random.default_rng(3)
    said = rng.random(95)
    points = ours.reliability(said, (rng.random(95) < said).astype(float))
    assert sum(p.n for p in points) == 95
    assert len(points) == 10
    assert [p.said for p in points] == sorted(p.said for p in points)


def table_of(*cents: int) -> Floats:
    found = np.zeros((1, len(GRID)))
    for cent in cents:
        found[0, cent] += 1 / len(cents)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=8), st.floats(0, 1))
def test_crps_is_the_energy_form(cents: list[int], truth: float) -> None:
    x = np.array(cents) / 100
    energy = np.abs(x - truth).mean() - np.abs(x[:, None] - x[None, :]).mean() / 2
    assert ours.crps(np.array([truth]), table_of(*cents))[0] == pytest.approx(energy, abs=1e-9)


def calibrated(n: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.3, 0.7, n)
    grid = np.arange(101) / 100
    table = np.exp(-((grid[None, :] - centre[:, None]) ** 2) / (2 * 0.08**2))
    table /= table.sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(grid, p=row) for row in table])
    return truth, table


def test_intervals_of_a_calibrated_model_cover_what_they_say() -> None:
    truth, table = calibrated(4000, 4)
    inside, width = ours.covered(truth, table)
    assert inside.mean() == pytest.approx(0.9, abs=0.035)  # two decimals round outwards
    assert width.mean() == pytest.approx(2 * 1.645 * 0.08, abs=0.02)
    assert ours.quantile_error(truth, table, np.ones((1, 4000)))[0] < 0.015
    assert all(abs(p.said - p.seen) < 0.03 for p in ours.number_reliability(truth, table))
    narrow = table**4 / (table**4).sum(axis=1, keepdims=True)
    assert ours.covered(truth, narrow)[0].mean() < 0.7
    assert ours.quantile_error(truth, narrow, np.ones((1, 4000)))[0] > 0.08


def test_a_coarse_calibrated_table_is_not_punished() -> None:
    rng = np.random.default_rng(5)
    table = np.repeat(table_of(10, 90), 5000, axis=0)
    truth = np.where(rng.random(5000) < 0.5, 0.1, 0.9)
    assert ours.quantile_error(truth, table, np.ones((1, 5000)))[0] < 0.01
