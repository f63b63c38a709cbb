"""Temperature and isotonic regression find what was done to the tables, and no more."""

import numpy as np
import pytest
from calibration_cases import categories, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.models.calibration_math import tempered
from immunopath.training.calibration.correction import (
    HIGHEST,
    MIN_ISOTONIC,
    choose,
    fit_isotonic,
    fit_number_temperature,
    fit_temperature,
)

few = settings(max_examples=20, deadline=None)


@pytest.mark.parametrize("sure", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_tables_too_sure(sure: float) -> None:
    rows, truth = categories(4000, 3, 1, sure)
    assert fit_temperature(rows, truth.astype(int)).temperature == pytest.approx(sure, rel=0.12)


@pytest.mark.parametrize("sure", [0.5, 1.0, 3.0])
def test_the_same_of_a_number(sure: float) -> None:
    rows, truth = numbers(2000, 2, sure)
    assert fit_number_temperature(rows, truth).temperature == pytest.approx(sure, rel=0.2)


@few
@given(st.integers(0, 10_000), st.floats(0.2, 5), st.integers(2, 4))
def test_a_fitted_temperature_never_moves_the_best_value(seed: int, sure: float, k: int) -> None:
    rows, truth = categories(80, k, seed, sure)
    after = fit_temperature(rows, truth.astype(int)).apply(rows)
    top = after.max(axis=1)
    assert np.allclose(after[np.arange(80), rows.argmax(axis=1)], top)
    assert np.allclose(after.sum(axis=1), 1)


@few
@given(st.integers(0, 10_000), st.floats(0.2, 5))
def test_a_fitted_curve_is_monotone_and_never_certain(seed: int, sure: float) -> None:
    rows, truth = categories(60, 2, seed, sure)
    found = fit_isotonic(rows, truth.astype(int))
    order = np.argsort(rows[:, 0])
    after = found.apply(rows)
    assert (np.diff(after[order, 0]) >= -1e-12).all()
    assert (after >= 1 / 62 - 1e-12).all()
    assert np.allclose(after.sum(axis=1), 1)


def test_faultless_answers_do_not_earn_certainty() -> None:
    truth = np.arange(50) % 2
    rows = np.where(truth[:, None] == [0, 1], 0.9, 0.1)
    after = fit_temperature(rows, truth).apply(rows)
    assert 0.98 < after.max() < 0.995


def test_tables_that_mislead_end_at_the_highest_temperature() -> None:
    rows, truth = categories(400, 2, 3, 2.0)
    found = fit_temperature(rows, 1 - truth.astype(int))
    assert found.empty
    assert found.temperature is not None
    assert found.temperature <= HIGHEST


def test_uniform_tables_need_no_correction() -> None:
    truth = np.arange(60) % 3
    assert fit_temperature(np.full((60, 3), 1 / 3), truth).temperature == 1.0


def test_isotonic_is_chosen_where_no_temperature_helps() -> None:
    rng = np.random.default_rng(5)
    said = rng.uniform(0.02, 0.98, 2000)
    truth = (rng.random(2000) > np.where(said > 0.3, 0.8, 0.1)).astype(int)  # a step
    rows = np.stack([said, 1 - said], axis=1)
    assert choose(rows, truth, "auto", 0).method == "isotonic"
    assert choose(rows, truth, "temperature", 0).method == "temperature"


def test_auto_keeps_the_temperature_where_it_suffices() -> None:
    rows, truth = categories(600, 2, 6, 3.0)
    assert choose(rows, truth.astype(int), "auto", 0).method == "temperature"


def test_isotonic_needs_cases_of_both_classes() -> None:
    rows, truth = categories(2 * MIN_ISOTONIC - 2, 2, 7, 3.0)
    assert choose(rows, truth.astype(int), "isotonic", 0).method == "temperature"
    more, truth = categories(4 * MIN_ISOTONIC, 2, 7, 3.0)
    assert choose(more, truth.astype(int), "isotonic", 0).method == "isotonic"
    three, truth = categories(4 * MIN_ISOTONIC, 3, 7, 3.0)
    assert choose(three, truth.astype(int), "isotonic", 0).method == "temperature"


def test_a_cell_of_a_number_without_mass_stays_without() -> None:
    rows, truth = numbers(200, 8, 9.0)
    rows = np.where(rows < 1e-4, 0.0, rows)
    after = fit_number_temperature(rows / rows.sum(axis=1, keepdims=True), truth).apply(rows)
    assert (after[rows == 0] == 0).all()


def test_tempering_twice_is_tempering_by_the_product() -> None:
    rows, _ = categories(50, 4, 9, 1.0)
    assert np.allclose(tempered(tempered(rows, 2.0), 1.5), tempered(rows, 3.0))
