"""The benchmark of the dense pass draws what it says and finds it again."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def test_the_hot_place_that_was_drawn_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from heat import counted, hot_fields, write_slide

    from immunopath.imaging.slides.opening import open_slide

    path = write_slide(tmp_path / "d.ome.tif", 5)
    with open_slide(path) as slide:
        assert slide.dimensions == (5 * 1024, 5 * 1024)
        assert len(slide.facts.levels) == 2
    assert all(0 < side < 4 for place in hot_fields(5) for side in place)
    found = counted(path, 5)
    assert found["densest_in_hot"] is True
    assert float(str(found["hot_over_cold"])) > 2
    assert found["measured"] == 36
