"""Which fields are calibrated, on whom, and what is said of the others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from calibration_cases import answered, data_of

from immunopath.domain.errors import InputError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.calibration.fit import (
    FitOptions,
    divide,
    error_of,
    expected_error,
    fit_field,
    options_of,
)


@pytest.mark.parametrize("field", ["cd274_expression", "tme_subtype", "til_fraction"])
def test_calibration_brings_the_error_down_to_that_of_the_truth(field: str) -> None:
    entry = fit_field(answered(field, 2000, 1, 3.0), FitOptions())
    assert entry.error_before is not None
    assert entry.error_after is not None
    assert entry.error_expected is not None
    assert entry.error_before > 0.08
    assert entry.error_after < 0.05
    assert entry.error_after < 2 * entry.error_expected


def test_tables_that_tell_the_truth_have_the_error_that_is_expected() -> None:
    data = answered("immune_phenotype", 2000, 3, 1.0)
    assert data.table is not None
    found = error_of(data.table, data.truth, number=False)
    assert found == pytest.approx(expected_error(data.table, 0, number=False), abs=0.012)


def test_what_was_judged_was_not_fitted_on() -> None:
    options = FitOptions(share=0.3)
    patients = tuple(f"p{i}" for i in range(100))
    fit, rest = divide(patients, options)
    assert not set(fit) & set(rest)
    assert (len(fit), len(rest)) == (30, 70)


def test_the_order_of_the_file_does_not_matter() -> None:
    data = answered("tme_subtype", 120, 4)
    turned = data.of(tuple(reversed(data.patients)))
    assert fit_field(turned, FitOptions()) == fit_field(data, FitOptions())
    assert fit_field(data, FitOptions(seed=1)) != fit_field(data, FitOptions())


def rare(n: int, few: int) -> Any:
    truth = (np.arange(n) >= few).astype(np.float64)
    return data_of("msi_status", np.tile([0.1, 0.9], (n, 1)), truth)


def test_a_field_with_too_few_positives_is_not_evaluable_and_gives_counts() -> None:
    entry = fit_field(rare(300, 3), FitOptions())
    assert not entry.evaluable
    assert entry.reason == "3 of 300 are MSI-H, at least 10 are needed"
    assert entry.counts == {"MSI-H": 3, "MSS": 297}
    assert fit_field(rare(300, 3), FitOptions(min_class=3)).evaluable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (data_of("til_fraction", None, np.zeros(0)), "no patient has a label"),
        (
            replace(data_of("til_fraction", None, np.zeros(0)), labels=(0.1, 0.2)),
            "none of 2 labelled patients has an answer",
        ),
        (replace(answered("til_fraction", 60, 1), table=None), "the engine states no"),
        (answered("til_fraction", 20, 1), "20 patients with label and answer, at least 50"),
        (
            data_of("til_fraction", np.full((60, 101), 1 / 101), np.full(60, 0.4)),
            "all labels are the same number",
        ),
        (rare(80, 0), "0 of 80 are MSI-H"),
    ],
)
def test_why_a_field_is_not_evaluable(data: Any, reason: str) -> None:
    entry = fit_field(data, FitOptions())
    assert not entry.evaluable
    assert entry.reason.startswith(reason)


def test_tables_that_mislead_are_not_dressed_up_as_calibrated() -> None:
    data = answered("cd274_expression", 400, 5)
    entry = fit_field(replace(data, truth=1 - data.truth), FitOptions(method="temperature"))
    assert not entry.evaluable
    assert "say nothing of the labels" in entry.reason


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("coverage", 1.0, "--coverage 1.0"),
        ("method", "platt", "--method platt"),
        ("min_class", 1, "--min-class 1"),
        ("seed", -1, "--seed -1"),
    ],
)
def test_an_option_that_cannot_be_is_named(option: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        options_of({option: value})


def test_all_fields_have_an_entry() -> None:
    for name in FIELD_VALUES:
        assert fit_field(answered(name, 80, 1), FitOptions()).field == name
