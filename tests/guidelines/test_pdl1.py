from datetime import date

import pytest
from guideline_support import AS_OF
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Pdl1Result
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.pdl1 import Pdl1Reading, parse_tps, read_pdl1


def result(value: float | str, specimen: SpecimenRef | None = None, **more: str) -> Pdl1Result:
    tps = Measured[float | str](state=State.measured, value=value, specimen=specimen)
    return Pdl1Result.model_validate({"tps": tps, **more})


def read(*results: Pdl1Result) -> Pdl1Reading:
    return read_pdl1(load_knowledge(), ClinicalContext(pdl1=results), AS_OF)


def ids(reading: Pdl1Reading) -> set[str]:
    return {hit.rule.spec.id for hit in reading.hits}


@pytest.mark.parametrize(
    ("value", "stratum", "rule"),
    [
        (0, "neg", "PDL-4"), (0.99, "neg", "PDL-3"), ("<1", "neg", "PDL-7"),
        ("< 1 %", "neg", "PDL-7"),
        (1, "low", "PDL-5"), (49, "low", "PDL-5"), (49.9, "low", "PDL-5"), ("1-49", "low", "PDL-7"),
        (50, "high", "PDL-6"), (100, "high", "PDL-6"), (">=50", "high", "PDL-7"),
        ("80%", "high", "PDL-6"),
        ("60-70", "high", "PDL-7"), ("<50", None, "PDL-8"), ("0-1", None, "PDL-8"),
        ("49-50", None, "PDL-8"), (">=1", None, "PDL-8"),
    ],
)  # fmt: skip
def test_strata(value: float | str, stratum: str | None, rule: str) -> None:
    reading = read(result(value))
    assert reading.stratum == stratum
    assert rule in ids(reading)


@pytest.mark.parametrize("value", [-1, 101, 150, "abc", "70-60", "101", "", ">120", "-5", "<0"])
def test_impossible_values_are_problems(value: float | str) -> None:
    reading = read(result(value))
    assert reading.stratum is None
    assert [p.code for p in reading.problems] == ["TPS_RANGE"]


def test_a_fraction_without_unit_is_ambiguous() -> None:
    reading = read(result(0.6, unit="missing"))
    assert [p.code for p in reading.problems] == ["TPS_UNIT_AMBIGUOUS"]
    assert read(result(60, unit="missing")).stratum == "high"


@pytest.mark.parametrize("score", ["CPS", "IC"])
def test_other_scores_are_no_tps(score: str) -> None:
    reading = read(result(60, score_type=score))
    assert reading.stratum is None
    assert reading.status == "indeterminate"
    assert "PDL-9" in ids(reading)


def test_too_few_cells() -> None:
    assert read(result(60, SpecimenRef(viable_tumour_cells=99))).stratum is None
    assert read(result(60, SpecimenRef(viable_tumour_cells=100))).stratum == "high"


@pytest.mark.parametrize(
    "specimen",
    [
        SpecimenRef(collected=date(2023, 1, 1)),
        SpecimenRef(decalcified=True),
        SpecimenRef(before_intervening_therapy=True),
    ],
)
def test_stale_specimens_keep_their_value(specimen: SpecimenRef) -> None:
    reading = read(result(60, specimen))
    assert reading.stratum == "high"
    assert "PDL-11" in ids(reading)


def test_several_results_the_most_recent_adequate_one_counts() -> None:
    old = result(80, SpecimenRef(collected=date(2026, 1, 1)))
    new = result(10, SpecimenRef(collected=date(2026, 6, 1)))
    scant = result(90, SpecimenRef(collected=date(2026, 9, 1), viable_tumour_cells=20))
    for order in ((old, new, scant), (scant, new, old)):
        reading = read(*order)
        assert reading.stratum == "low"
        assert "PDL-12" in ids(reading)


def test_a_specimen_before_therapy_does_not_displace_an_untreated_one() -> None:
    before = result(80, SpecimenRef(collected=date(2026, 6, 1), before_intervening_therapy=True))
    fresh = result(0, SpecimenRef(collected=date(2026, 1, 1)))
    assert read(before, fresh).stratum == "neg"


def test_no_result_is_unknown_and_a_failed_one_failed() -> None:
    assert read().status == "unknown"
    failed = Pdl1Result(tps=Measured[float | str](state=State.failed))
    assert read(failed).status == "failed"


@given(st.floats(min_value=0, max_value=100))
def test_steps_lie_only_at_1_and_50(value: float) -> None:
    expected = "neg" if value < 1 else "low" if value < 50 else "high"
    assert read(result(value)).stratum == expected


@given(st.text(max_size=20))
def test_parsing_never_raises(text: str) -> None:
    parsed = parse_tps(text)
    assert parsed is None or parsed[0] <= parsed[1]
