"""The benchmark of adaptive sampling keeps to the shipped rules and repeats its figures."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_all_ways_start_from_the_spread_regions_and_keep_to_the_budget() -> None:
    from adaptive import FIRST, LIMITS, MOST, adaptive, first_look, uniform
    from adaptive_slides import depth_of, draw_fields, lay_out
    from adaptive_tables import saved, summary

    bank = draw_fields()
    layouts = [lay_out(seed, 2.5) for seed in range(6)]
    plain = [first_look(layout) for layout in layouts]
    dark = [first_look(s, depth_of(s, bank, 0.5, n)) for n, s in enumerate(layouts)]
    one = [adaptive(s, bank, LIMITS[0], look) for s, look in zip(layouts, plain, strict=True)]
    two = [uniform(layout, bank, LIMITS[0]) for layout in layouts]
    three = [adaptive(s, bank, LIMITS[0], look) for s, look in zip(layouts, dark, strict=True)]
    for row in (*one, *two, *three):
        assert FIRST <= row.first <= row.regions <= MOST
        assert row.reached == (row.width <= LIMITS[0])
    assert [row.hot_first for row in one] == [row.hot_first for row in two]
    for look, spread in zip(dark, plain, strict=True):
        assert look.read[:FIRST] == spread.read
        assert FIRST <= len(look.read) <= FIRST + 4
    again = [adaptive(s, bank, LIMITS[0], look) for s, look in zip(layouts, dark, strict=True)]
    assert again == three
    assert len(saved(one, two, MOST)) == 6
    assert summary(one, MOST)["tiles_needed"] == round(
        4 * sum(r.regions if r.reached else MOST for r in one) / 6, 1
    )


@pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.5])
def test_the_darkness_has_the_correlation_that_is_said(
    correlation: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import adaptive_slides
    from adaptive_slides import draw_fields, lay_out

    bank, layout = draw_fields(), lay_out(3, 1.5)
    seen = []
    monkeypatch.setattr(adaptive_slides, "depths", lambda frame, density: seen.append(density))
    adaptive_slides.depth_of(layout, bank, correlation, 3)
    share = [bank[n].share for n in layout.field]
    assert np.corrcoef(share, seen[0])[0, 1] == pytest.approx(correlation, abs=1e-9)


def test_a_slide_without_a_hot_region_needs_no_further_round() -> None:
    from adaptive import FIRST, adaptive, first_look
    from adaptive_slides import draw_fields, lay_out, truth_of

    bank = draw_fields()
    layout = lay_out(0, 0)
    assert not any(layout.hot)
    row = adaptive(layout, bank, 0.12, first_look(layout))
    assert (row.regions, row.reached) == (FIRST, True)
    assert abs(row.error) < 0.02
    assert 0 < truth_of(layout, bank) < 0.12
