"""The benchmark of adaptive sampling keeps to the shipped rules and repeats its figures."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_both_ways_start_alike_and_keep_to_the_budget() -> None:
    from adaptive import FIRST, LIMITS, MOST, adaptive, saved, summary, uniform
    from adaptive_slides import draw_fields, lay_out

    bank = draw_fields()
    layouts = [lay_out(seed, 2.5) for seed in range(6)]
    one = [adaptive(layout, bank, LIMITS[0]) for layout in layouts]
    two = [uniform(layout, bank, LIMITS[0]) for layout in layouts]
    for row in (*one, *two):
        assert FIRST <= row.regions <= MOST
        assert row.reached == (row.width <= LIMITS[0])
    assert [row.hot_first for row in one] == [row.hot_first for row in two]
    assert one == [adaptive(layout, bank, LIMITS[0]) for layout in layouts]
    assert len(saved(one, two)) == 6
    assert summary(one, LIMITS[0])["tiles_needed"] == round(
        4 * sum(r.regions if r.reached else MOST for r in one) / 6, 1
    )


def test_a_slide_without_a_hot_region_needs_no_further_round() -> None:
    from adaptive import FIRST, adaptive
    from adaptive_slides import draw_fields, lay_out, truth_of

    bank = draw_fields()
    layout = lay_out(0, 0)
    assert not any(layout.hot)
    row = adaptive(layout, bank, 0.12)
    assert (row.regions, row.reached) == (FIRST, True)
    assert abs(row.error) < 0.02
    assert 0 < truth_of(layout, bank) < 0.12
