"""One case out of many patches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.prediction import CutPoints
from immunopath.models.foundation.decoding.decoded import SlotReading
from immunopath.models.foundation.medgemma.aggregate import (
    aggregate,
    best,
    quantile,
    total_variation,
)

GRID = [f"{i / 100:.2f}" for i in range(101)]


def reading(
    table: dict[str, float], off: float | None = 0.1, unknown: float | None = 0.02
) -> SlotReading:
    return SlotReading("x", None, table, None, None, off, unknown, "")


def at(value: str) -> SlotReading:
    return reading({text: float(text == value) for text in GRID})


def two(p: float) -> SlotReading:
    return reading({"high": p, "low": 1 - p})


def test_probabilities_are_averaged_by_weight_and_never_voted_on() -> None:
    case = aggregate([two(0.9), two(0.45), two(0.45)], [1, 1, 2], number=False)
    assert case.probabilities["high"] == pytest.approx((0.9 + 0.45 + 2 * 0.45) / 4)
    assert case.value == "high"  # two of three patches, alone, would say low
    assert case.disagreement == pytest.approx(2 / 3)
    assert case.effective == pytest.approx(16 / 6)
    assert case.spread == pytest.approx((0.3375 + 0.1125 * 3) / 4)


def test_one_patch_has_no_disagreement_and_no_spread() -> None:
    case = aggregate([two(0.7)], [0.3], number=False)
    assert (case.disagreement, case.spread, case.effective) == (None, 0, 1)


def test_a_number_is_the_median_of_the_mean_table() -> None:
    case = aggregate([at("0.10"), at("0.20"), at("0.60")], [1, 1, 1], number=True)
    assert case.value == 0.20
    assert case.interval == (0.10, 0.60)
    assert case.disagreement == 0  # all medians lie inside the interval
    cuts = CutPoints(low=0.15, high=0.5)
    split = aggregate(
        [at("0.10"), at("0.20"), at("0.60")], [1, 1, 1], number=True, classify=cuts.density_class
    )
    assert split.disagreement == pytest.approx(2 / 3)


def test_masses_are_averaged_only_when_every_patch_has_one() -> None:
    full = aggregate([two(0.5), two(0.5)], [1, 1], number=False)
    assert full.off_schema == pytest.approx(0.1)
    assert full.unknown == pytest.approx(0.02)
    part = aggregate(
        [two(0.5), reading({"high": 0.5, "low": 0.5}, None, None)], [1, 1], number=False
    )
    assert part.off_schema is None


@given(
    st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=6),
    st.lists(st.floats(0.05, 1), min_size=6, max_size=6),
)
def test_the_mean_table_sums_to_one_and_distances_are_bounded(
    rows: list[list[float]], weights: list[float]
) -> None:
    tables = [{k: v / sum(row) for k, v in zip("abc", row, strict=True)} for row in rows]
    case = aggregate([reading(t) for t in tables], weights[: len(rows)], number=False)
    assert sum(case.probabilities.values()) == pytest.approx(1)
    assert 0 <= case.spread <= 1
    assert 1 - 1e-9 <= case.effective <= len(rows) + 1e-9
    assert case.value == best(case.probabilities)


def test_total_variation_and_quantiles() -> None:
    assert total_variation({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}) == 1
    assert total_variation({"a": 0.6, "b": 0.4}, {"a": 0.4, "b": 0.6}) == pytest.approx(0.2)
    table = {"0.00": 0.05, "0.50": 0.90, "1.00": 0.05}
    assert [quantile(table, q) for q in (0.04, 0.5, 0.96)] == [0.0, 0.5, 1.0]
