"""Pictures of a report: the right image, nuclei in their place, and no more than is shown."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import samples
from he_fields import he_field
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_store import store_of

from immunopath.agents.context import Workspace
from immunopath.domain.outcome import Unavailable
from immunopath.domain.report import CaseReport
from immunopath.models.lazy import LazyAtlas
from immunopath.models.protocols import RGB, NucleiTable
from immunopath.pipeline.figures import MAX_SIDE_PX, make_figures, neighbour_ids

SMALL, WIDE = he_field(120, 160, seed=1), he_field(200, 1400, seed=2)


def table(*rows: tuple[float, float, int, bool, bool]) -> NucleiTable:
    """Return nuclei from x and y in µm, image, lymphocyte and nest."""
    x, y, image, lymphocyte, nest = zip(*rows, strict=True)
    number = np.ones(len(rows), np.float32)
    return NucleiTable(
        np.array(x, np.float32), np.array(y, np.float32), np.array(image, np.int32), number,
        number, np.array(lymphocyte, np.bool_), np.array(nest, np.bool_),
    )  # fmt: skip


def report(*images: RGB, mpp: float = 0.5, **changes: object) -> CaseReport:
    shown = tuple(
        samples.image().model_copy(
            update={"name": f"{n}.png", "width": rgb.shape[1], "height": rgb.shape[0], "mpp": mpp}
        )
        for n, rgb in enumerate(images)
    )
    return samples.full().model_copy(update={"images": shown} | changes)


def decoded(jpeg: bytes) -> RGB:
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return bgr[..., ::-1].astype(np.uint8)


def workspace(*images: RGB, nuclei: NucleiTable | None = None, mpp: float = 0.5) -> Workspace:
    return Workspace(store=store_of(*images, mpp=mpp), nuclei=nuclei)


def test_every_image_has_its_figure_under_its_name() -> None:
    found = make_figures(report(SMALL, WIDE), workspace(SMALL, WIDE), {})
    assert [figure.name for figure in found.images] == ["0.png", "1.png"]
    assert found.neighbour_jpegs == {}


def test_colours_are_kept_in_order() -> None:
    (figure,) = make_figures(report(SMALL), workspace(SMALL), {}).images
    shown = decoded(figure.jpeg)
    assert shown.shape == SMALL.shape == (figure.height, figure.width, 3)
    for channel in range(3):
        assert shown[..., channel].mean() == pytest.approx(SMALL[..., channel].mean(), abs=3)


def test_a_large_image_is_reduced_and_its_scale_grows() -> None:
    (figure,) = make_figures(report(WIDE), workspace(WIDE), {}).images
    assert figure.width == MAX_SIDE_PX
    assert decoded(figure.jpeg).shape[:2] == (figure.height, figure.width)
    assert figure.um_per_px * figure.width == pytest.approx(0.5 * WIDE.shape[1])
    (small,) = make_figures(report(SMALL), workspace(SMALL), {}).images
    assert small.um_per_px == 0.5


@settings(deadline=None, max_examples=12)
@given(st.floats(0.2, 2.0), st.floats(0, 1), st.floats(0, 1), st.sampled_from([0, 1]))
def test_a_nucleus_is_drawn_where_it_lies(mpp: float, u: float, v: float, at: int) -> None:
    images = (SMALL, WIDE)
    height, width = images[at].shape[:2]
    nuclei = table((u * width * mpp, v * height * mpp, at, True, False))
    found = make_figures(report(*images, mpp=mpp), workspace(*images, nuclei=nuclei, mpp=mpp), {})
    figure = found.images[at]
    assert figure.x[0] == pytest.approx(u * figure.width, abs=0.6)
    assert figure.y[0] == pytest.approx(v * figure.height, abs=0.6)
    assert len(found.images[1 - at].x) == 0


def test_each_image_gets_its_own_nuclei_with_their_marks() -> None:
    nuclei = table((10, 10, 0, True, False), (20, 5, 1, False, True), (30, 9, 0, False, False))
    found = make_figures(report(SMALL, WIDE), workspace(SMALL, WIDE, nuclei=nuclei), {})
    first, second = found.images
    assert first.is_lymphocyte.tolist() == [True, False]
    assert first.in_nest.tolist() == [False, False]
    assert second.in_nest.tolist() == [True]


@pytest.mark.parametrize("nuclei", [None, table((10, 10, 0, True, False))], ids=["none", "some"])
def test_without_counts_in_the_report_nothing_is_drawn(nuclei: NucleiTable | None) -> None:
    """A predictor that failed after counting may leave nuclei behind."""
    bare = report(SMALL, morphometry=None)
    (figure,) = make_figures(bare, workspace(SMALL, nuclei=nuclei), {}).images
    assert len(figure.x) == len(figure.y) == len(figure.is_lymphocyte) == len(figure.in_nest) == 0


def test_only_thumbnails_of_shown_neighbours_travel_with_the_report() -> None:
    known = {"atlas-0": samples.jpeg(), "atlas-1": samples.jpeg(), "somebody-else": samples.jpeg()}
    found = make_figures(report(SMALL), workspace(SMALL), known)
    assert set(found.neighbour_jpegs) == {"atlas-0", "atlas-1"}
    silent = report(SMALL, retrieval=Unavailable(reason="r"))
    assert make_figures(silent, workspace(SMALL), known).neighbour_jpegs == {}


def test_figures_are_values() -> None:
    (figure,) = make_figures(report(SMALL), workspace(SMALL), {}).images
    assert replace(figure, name="x").name == "x"
    with pytest.raises(AttributeError):
        figure.name = "y"  # type: ignore[misc]


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
    shown = samples.full()
    assert neighbour_ids(shown)
    without = shown.model_copy(update={"retrieval": Unavailable(reason="none")})
    assert neighbour_ids(without) == frozenset()
