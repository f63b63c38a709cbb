"""The calibration benchmark on simulated answers: what it prints, and that its figures are true."""

import sys
from pathlib import Path
from typing import Any

import pytest
from calibration_cases import answered, data_of

from immunopath.training.calibration.fit import FitOptions, fit_field

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "calibration", raising=False)
    import calibration

    monkeypatch.setattr(calibration, "SEEDS", 4)
    return calibration


@pytest.mark.parametrize("field", ["immune_phenotype", "til_fraction"])
def test_figures_of_a_field(benchmark: Any, field: str) -> None:
    options = FitOptions()
    val, test = answered(field, 300, 1, 2.0), answered(field, 600, 2, 2.0)
    found = benchmark.field_figures(fit_field(val, options), val, test, options)
    assert found["kind"] == ("number" if field == "til_fraction" else "category")
    assert found["n"] == 600
    assert found["ece_before"] > 1.5 * found["ece_after"]
    assert found["coverage_on_test"] == pytest.approx(0.9, abs=0.05)
    assert found["coverage_over_seeds"]["seeds"] == 4
    assert found["coverage_over_seeds"]["mean"] == pytest.approx(0.9, abs=0.04)
    assert found["sharpened"]["ece_before"] > found["ece_before"]
    assert found["sharpened"]["ece_after"] == pytest.approx(found["ece_after"], abs=0.03)


def test_a_field_that_is_not_evaluable_says_why(benchmark: Any) -> None:
    val = answered("msi_status", 40, 1)
    found = benchmark.field_figures(fit_field(val, FitOptions()), val, val, FitOptions())
    assert found["evaluable"] is False
    assert found["reason"].startswith("40 patients")
    assert sum(found["counts"].values()) == 40


def test_the_most_and_the_least_are_of_all_fields(benchmark: Any) -> None:
    options = FitOptions()
    figures = {}
    for field in ("immune_phenotype", "til_fraction"):
        data = answered(field, 200, 1)
        figures[field] = benchmark.field_figures(fit_field(data, options), data, data, options)
    figures["msi_status"] = {"evaluable": False, "reason": "r", "counts": {}}
    found = benchmark.summary(figures)
    assert found["worst_ece_after"] == figures["immune_phenotype"]["ece_after"]
    means = [
        figures[f]["coverage_over_seeds"]["mean"] for f in ("immune_phenotype", "til_fraction")
    ]
    assert (found["lowest_mean_coverage"], found["highest_mean_coverage"]) == (
        min(means), max(means),
    )  # fmt: skip


def test_tables_are_told_from_labels_alone(benchmark: Any) -> None:
    """Truth moves nothing that is served: only thresholds and temperatures depend on it."""
    val, test = answered("tme_subtype", 300, 1), answered("tme_subtype", 300, 2)
    assert test.table is not None
    other = data_of("tme_subtype", test.table, (test.truth + 1) % 4)
    entry = fit_field(val, FitOptions())
    one, two = (benchmark.field_figures(entry, val, t, FitOptions()) for t in (test, other))
    assert one["mean_size"] == two["mean_size"]
    assert one["ece_after"] != two["ece_after"]
