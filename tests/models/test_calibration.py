"""Calibrated tables: laws of the arithmetic, the file, and what is refused."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import CalibratorMismatch, CaseFileError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.calibration import (
    FILE,
    Calibrator,
    FieldCalibration,
    chosen_calibrator,
    load_calibrator,
    write_calibrator,
)

GRID = tuple(f"{n / 100:.2f}" for n in range(101))
Table = dict[str, float]


def entry(field: str = "immune_phenotype", **changes: Any) -> FieldCalibration:
    number = FIELD_VALUES[field] is None
    values: dict[str, Any] = {
        "field": field,
        "evaluable": True,
        "n_fit": 100,
        "n_conformal": 100,
        "method": "temperature",
        "temperature": 2.0,
        "set_method": "cqr" if number else "lac",
        "threshold": 0.02 if number else 0.7,
        "coverage": 0.9,
    }
    return FieldCalibration(**(values | changes))


def calibrator(*fields: FieldCalibration, **changes: Any) -> Calibrator:
    values: dict[str, Any] = {
        "version": "0.1.0",
        "engine": "mil:folder",
        "checkpoint": "c" * 64,
        "predictions": "p" * 64,
        "samples": "s" * 64,
        "split": "val",
        "n": 200,
        "coverage": 0.9,
        "fields": fields,
    }
    return Calibrator(**(values | changes))


def table_of(names: tuple[str, ...]) -> st.SearchStrategy[Table]:
    weights = st.lists(
        st.floats(0, 1), min_size=len(names), max_size=len(names)
    ).filter(lambda w: sum(w) > 1e-3)  # fmt: skip
    return weights.map(lambda w: {n: x / math.fsum(w) for n, x in zip(names, w, strict=True)})


phenotypes = table_of(FIELD_VALUES["immune_phenotype"])
binaries = table_of(FIELD_VALUES["cd274_expression"])
numbers = table_of(GRID)
temperatures = st.floats(0.05, 20)


@given(phenotypes, temperatures, st.sampled_from(["lac", "aps"]), st.floats(0, 1))
def test_a_temperature_keeps_the_best_value_and_the_sum(
    table: Table, temperature: float, sets: str, threshold: float
) -> None:
    found = entry(temperature=temperature, set_method=sets, threshold=threshold).apply(table)
    assert math.isclose(sum(found.probabilities.values()), 1, abs_tol=1e-9)
    best = max(table, key=lambda name: table[name])
    top = max(found.probabilities.values())
    assert found.probabilities[best] == pytest.approx(top, abs=1e-6)
    assert found.value in found.prediction_set
    assert set(found.prediction_set) <= set(table)


@given(phenotypes, temperatures)
def test_a_temperature_keeps_the_order_of_the_values(table: Table, temperature: float) -> None:
    after = entry(temperature=temperature).apply(table).probabilities
    for one in table:
        for other in table:
            if table[one] > table[other]:
                assert after[one] >= after[other]


@given(numbers, temperatures, st.sampled_from(["cqr", "residual"]), st.floats(-1, 1))
def test_a_number_keeps_its_sum_and_lies_in_its_interval(
    table: Table, temperature: float, sets: str, threshold: float
) -> None:
    found = entry(
        "til_fraction", temperature=temperature, set_method=sets, threshold=threshold
    ).apply(table)
    assert math.isclose(sum(found.probabilities.values()), 1, abs_tol=1e-9)
    low, high = found.interval
    assert 0 <= low <= found.value <= high <= 1
    assert found.prediction_set is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8), binaries,
       binaries)  # fmt: skip
def test_isotonic_never_turns_two_cases_round(
    points: list[tuple[float, float]], one: Table, other: Table
) -> None:
    knots = tuple(zip(sorted(x for x, _ in points), sorted(y for _, y in points), strict=True))
    field = entry("cd274_expression", method="isotonic", temperature=None, curve=knots)
    before = [t["high"] for t in (one, other)]
    after = [field.apply(t).probabilities["high"] for t in (one, other)]
    if before[0] <= before[1]:
        assert after[0] <= after[1] + 1e-12
    assert all(0 <= p <= 1 for p in after)


def test_a_temperature_of_one_changes_nothing() -> None:
    table = {"inflamed": 0.7, "excluded": 0.2, "desert": 0.1}
    assert entry(temperature=1.0).apply(table).probabilities == pytest.approx(table)


def test_an_overconfident_table_is_softened_even_with_zeros() -> None:
    found = entry(temperature=2.0).apply({"inflamed": 1.0, "excluded": 0.0, "desert": 0.0})
    assert found.probabilities["excluded"] == pytest.approx(1e-3, rel=0.01)


def test_the_two_kinds_of_sets() -> None:
    table = {"inflamed": 0.6, "excluded": 0.3, "desert": 0.1}
    lac = entry(temperature=1.0, threshold=0.75)
    assert lac.apply(table).prediction_set == ("inflamed", "excluded")
    aps = entry(temperature=1.0, set_method="aps", threshold=0.5)
    assert aps.apply(table).prediction_set == ("inflamed",)
    assert aps.apply(table).coverage == 0.9


def test_no_set_is_empty() -> None:
    table = {"inflamed": 0.4, "excluded": 0.3, "desert": 0.3}
    assert entry(temperature=1.0, threshold=0.0).apply(table).prediction_set == ("inflamed",)


def test_a_field_that_is_not_evaluable_passes_its_table_through_and_says_so() -> None:
    table = {"MSI-H": 0.9, "MSS": 0.1}
    field = FieldCalibration(
        field="msi_status", evaluable=False, reason="2 MSI-H, at least 10 are needed"
    )
    found = calibrator(field).field("msi_status").apply(table)
    assert found.probabilities == table
    assert not found.calibrated
    assert found.reason == "2 MSI-H, at least 10 are needed"
    assert found.prediction_set is found.interval is found.coverage is None


def test_a_field_that_was_not_fitted_is_not_evaluable() -> None:
    assert not calibrator(entry()).field("tme_subtype").evaluable


def test_a_table_over_other_values_is_refused() -> None:
    with pytest.raises(CalibratorMismatch, match=r"immune_phenotype: .* do not share desert"):
        entry().apply({"inflamed": 0.5, "excluded": 0.5})
    with pytest.raises(CalibratorMismatch, match=r"til_fraction: .* do not share 0\.505"):
        entry("til_fraction").apply({"0.505": 1.0})


def test_cells_that_a_table_leaves_out_count_as_zero() -> None:
    field = entry("til_fraction")
    whole = dict.fromkeys(GRID, 0.0) | {"0.30": 0.6, "0.40": 0.4}
    assert field.apply({"0.40": 0.4, "0.30": 0.6}) == field.apply(whole)


def test_the_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    knots = ((0.1, 0.2), (0.30000000000000004, 0.7))
    isotonic = entry("cd274_expression", method="isotonic", temperature=None, curve=knots)
    written = calibrator(entry(temperature=1 / 3), entry("til_fraction"), isotonic)
    path = write_calibrator(written, tmp_path)
    assert path.name == FILE
    assert load_calibrator(path) == written
    assert chosen_calibrator({}, tmp_path, written.checkpoint) == written
    assert chosen_calibrator({"calibration": "none"}, tmp_path, written.checkpoint) is None
    first = path.read_bytes()
    write_calibrator(written, tmp_path)
    assert path.read_bytes() == first


def test_a_folder_without_the_file_has_no_calibrator(tmp_path: Path) -> None:
    assert chosen_calibrator({}, tmp_path, "c" * 64) is None
    with pytest.raises(CaseFileError, match=r"absent\.json"):
        chosen_calibrator({"calibration": str(tmp_path / "absent.json")}, tmp_path, "c" * 64)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"schema_version": 1}')
    with pytest.raises(CaseFileError, match=r"calibration\.json: version"):
        chosen_calibrator({}, tmp_path, "c" * 64)


def test_another_checkpoint_is_refused() -> None:
    calibrator(entry()).require("c" * 64)
    with pytest.raises(CalibratorMismatch, match="cccccccccccc…, this one has dddddddddddd…"):
        calibrator(entry()).require("d" * 64)


@pytest.mark.parametrize(
    ("field", "changes", "said"),
    [
        ("immune_phenotype", {"temperature": None}, "a temperature belongs"),
        ("immune_phenotype", {"set_method": "cqr"}, "does not fit"),
        ("til_fraction", {"set_method": "lac"}, "does not fit"),
        ("immune_phenotype", {"threshold": None}, "are needed"),
        ("immune_phenotype", {"evaluable": False}, "a reason and no method"),
        (
            "immune_phenotype",
            {"method": "isotonic", "temperature": None, "curve": ((0.1, 0.1),)},
            "two values",
        ),
        (
            "cd274_expression",
            {"method": "isotonic", "temperature": None, "curve": ((0.1, 0.5), (0.2, 0.1))},
            "must ascend",
        ),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(
    field: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        entry(field, **changes)


def test_a_field_has_one_entry() -> None:
    with pytest.raises(ValueError, match="twice"):
        calibrator(entry(), entry())
