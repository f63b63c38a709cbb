"""Two cohort runs side by side."""

from pathlib import Path

import pytest

from immunopath.domain.cohort import CaseRecord, FieldSummary, QueueFacts
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.pipeline.cohort.store import ResultStore
from immunopath.training.evaluation.cohort_runs import compare_runs, read_run
from immunopath.training.evaluation.resample import Plan

PLAN = Plan(draws=200, seed=1)


def record(
    case_id: str,
    phenotype: str | None = "inflamed",
    til: float | None = 0.3,
    *,
    level: str | None = "T1",
    quantity: str = "share",
    patient: str | None = None,
) -> CaseRecord:
    values: dict[str, str | float | None] = {"immune_phenotype": phenotype, "til_fraction": til}
    fields = tuple(
        FieldSummary(
            field=name,
            quantity=quantity,
            value=values.get(name),
            calibrated=False,
            informative=False,
            abstained=values.get(name) is None,
            n_tiles=1,
        )
        for name in FIELD_VALUES
    )
    queue = None if level is None else QueueFacts(case_id=case_id, level=level)
    return CaseRecord(
        case_id=case_id, patient_id=patient, row=1, status="ok", fields=fields, queue=queue
    )


def run(*records: CaseRecord) -> dict[str, CaseRecord]:
    return {item.case_id: item for item in records}


def test_equal_runs_have_no_change() -> None:
    one = run(record("a"), record("b", None))
    found = compare_runs(one, one, PLAN)
    assert found.cases == ()
    assert {f.changed.value for f in found.fields} == {0.0}
    assert {share.value for share in found.recommendations.values()} == {0.0}


def test_changed_calls_numbers_and_recommendations_are_counted() -> None:
    a = run(record("a"), record("b"), record("c"), record("d"))
    b = run(record("a", "desert", 0.5), record("b", None), record("c", level="T0"), record("d"))
    found = compare_runs(a, b, PLAN)
    by_name = {f.field: f for f in found.fields}
    phenotype, til = by_name["immune_phenotype"], by_name["til_fraction"]
    assert phenotype.changed.value == 0.5
    assert phenotype.pairs == {"inflamed": {"abstained": 1, "desert": 1, "inflamed": 2}}
    assert til.difference is not None
    assert til.difference.value == pytest.approx(0.05)
    assert til.difference.low is not None
    assert til.difference.low <= 0.05 <= (til.difference.high or 0)
    assert found.recommendations["triage_level"].value == 0.25
    assert [case.case_id for case in found.cases] == ["a", "b", "c"]
    assert found.cases[0].changes["til_fraction"] == ("0.3", "0.5")


def test_resamples_without_a_number_say_nothing_of_the_difference() -> None:
    a = run(record("a"), record("b", til=None))
    b = run(record("a", til=0.5), record("b", til=None))
    til = next(f for f in compare_runs(a, b, PLAN).fields if f.field == "til_fraction")
    assert til.difference is not None
    assert (til.difference.low, til.difference.high) == pytest.approx((0.2, 0.2))


def test_numbers_of_different_quantities_are_not_subtracted() -> None:
    found = compare_runs(run(record("a")), run(record("a", quantity="rna")), PLAN)
    til = next(f for f in found.fields if f.field == "til_fraction")
    assert til.difference is None
    assert "never subtracted: rna, share" in til.why_not


def test_cases_of_one_patient_are_drawn_together() -> None:
    a = run(*(record(f"p{n}", patient="P") for n in range(5)), record("q"))
    b = run(*(record(f"p{n}", "desert", patient="P") for n in range(5)), record("q"))
    changed = next(
        f.changed for f in compare_runs(a, b, PLAN).fields if f.field == "immune_phenotype"
    )
    assert (changed.low, changed.high) == (0.0, 1.0)  # two patients: all of one or all of the other


def test_cases_without_a_counterpart_are_named() -> None:
    failed = CaseRecord(case_id="f", row=1, status="failed", reason="x")
    found = compare_runs(run(record("a"), record("x"), failed), run(record("a"), record("y")), PLAN)
    assert (found.n, found.only_a, found.only_b) == (1, ("f", "x"), ("y",))
    with pytest.raises(InputError, match="no case has a report in both"):
        compare_runs(run(record("x")), run(record("y")), PLAN)


def test_a_run_is_read_from_its_folder(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_record(record("a"))
    assert list(read_run(tmp_path)) == ["a"]
    next((tmp_path / "records").iterdir()).write_text("{}")
    with pytest.raises(CaseFileError, match="no record of a case"):
        read_run(tmp_path)
    with pytest.raises(CaseFileError, match="no cohort run"):
        read_run(tmp_path / "none")
