"""Only the thumbnails that a report shows are unpacked."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))
import samples

from immunopath.domain.outcome import Unavailable
from immunopath.models.lazy import LazyAtlas
from immunopath.pipeline.figures import neighbour_ids


def test_an_atlas_that_was_not_opened_has_no_thumbnails() -> None:
    assert LazyAtlas().thumbnails({"any"}) == {}


def test_only_the_entries_named_are_unpacked() -> None:
    lazy = LazyAtlas()
    entries = [e for e in lazy.get().entries if e.thumbnail is not None][:2]
    wanted = {entry.entry_id for entry in entries}
    found = lazy.thumbnails(wanted | {"not there"})
    assert set(found) == wanted
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in found.values())


def test_a_report_without_retrieval_shows_no_neighbour() -> None:
    report = samples.full()
    assert neighbour_ids(report)
    without = report.model_copy(update={"retrieval": Unavailable(reason="none")})
    assert neighbour_ids(without) == frozenset()
