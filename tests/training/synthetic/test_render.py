"""What is drawn is what is said: counts, layouts, colours; and the same bytes every time."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.training.synthetic.look import Look, site_look
from immunopath.training.synthetic.render import draw, render
from immunopath.training.synthetic.scene import Layout, Scene, place_field, scene_of

CLEAN = Look(noise=0.0, jpeg=None, blur_um=0.0)
LAYOUTS: tuple[Layout, ...] = ("inflamed", "excluded", "desert")


def dark_round_blobs(rgb: np.ndarray, mpp: float) -> int:
    """Count dark round blobs of a lymphocyte's size, without any part of the package."""
    dark = (rgb[..., 0] < 95).astype(np.uint8)
    n, _, stats, _ = cv2.connectedComponentsWithStats(dark)
    area = stats[1:, cv2.CC_STAT_AREA] * mpp**2
    return int(((area > 12) & (area < 80)).sum()) if n > 1 else 0


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    scene = scene_of("inflamed", size_px=96)
    assert render(scene, 7).tobytes() == render(scene, 7).tobytes()
    assert render(scene, 7).tobytes() != render(scene, 8).tobytes()


@given(size=st.integers(16, 150), mpp=st.sampled_from([0.25, 0.5, 1.0, 2.0]), seed=st.integers(0))
@settings(max_examples=25, deadline=None)
def test_any_size_is_drawn(size: int, mpp: float, seed: int) -> None:
    field = draw(scene_of("inflamed", size_px=size, mpp=mpp), seed)
    assert field.rgb.shape == (size, size, 3)
    assert field.rgb.dtype == np.uint8
    assert 0 <= field.truth.share <= 1
    assert field.truth.lymphocytes_inside <= field.truth.lymphocytes
    assert 0 <= field.truth.nest_mm2 <= field.truth.area_mm2


def test_more_lymphocytes_more_dark_round_nuclei() -> None:
    counted, true = [], []
    for per_mm2 in (100, 600, 1500, 3000):
        fields = [draw(scene_of("inflamed", per_mm2, size_px=256), s, CLEAN) for s in range(3)]
        counted.append(sum(dark_round_blobs(field.rgb, 0.5) for field in fields))
        true.append(sum(field.truth.lymphocytes for field in fields))
    assert true == sorted(true)
    assert counted == sorted(counted)
    assert counted[-1] == pytest.approx(true[-1], rel=0.5)
    assert counted[-1] > 5 * counted[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_is_where_the_lymphocytes_lie(layout: Layout) -> None:
    truth = draw(scene_of(layout, size_px=512, mpp=1.0), 3).truth
    inside = truth.lymphocytes_inside / truth.nest_mm2
    outside = (truth.lymphocytes - truth.lymphocytes_inside) / (truth.area_mm2 - truth.nest_mm2)
    assert (truth.inside_per_mm2, truth.outside_per_mm2) == (inside, outside)
    assert (max(inside, outside) > 1500) == (layout != "desert")
    if layout != "desert":
        assert (inside > 0.5 * outside) == (layout == "inflamed")


def test_a_site_changes_colour_and_not_truth() -> None:
    scene = scene_of("excluded", size_px=192)
    one, other = (draw(scene, 5, site_look(site, 0)) for site in ("A", "B"))
    assert one.truth == other.truth
    assert np.abs(one.rgb.mean((0, 1)) - other.rgb.mean((0, 1))).max() > 4
    # The same structures: grey values of the two rise and fall together.
    pair = np.corrcoef(one.rgb.mean(-1).ravel(), other.rgb.mean(-1).ravel())
    assert pair[0, 1] > 0.8
    assert site_look("A", 0, effect=0.0) == site_look("B", 0, effect=0.0)
    assert site_look("A", 0) == site_look("A", 0) != site_look("A", 1)


def test_nests_cover_the_share_that_was_asked_for() -> None:
    for share in (0.0, 0.3, 1.0):
        cells = place_field(Scene(size_px=200, tumour_share=share), 1)
        assert cells.nest.mean() == pytest.approx(share, abs=0.01)
        assert bool(len(cells.tumour)) == (share > 0)
