"""The overlay draws every nucleus once, tells classes apart by shape and carries a true scale."""

import re
from dataclasses import replace

import numpy as np
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from immunopath.reporting.html import render_html
from immunopath.reporting.overlay import data_address, overlay

IMAGE = samples.figures(200).images[0]
NONE = replace(
    IMAGE,
    x=np.zeros(0, np.float32),
    y=np.zeros(0, np.float32),
    is_lymphocyte=np.zeros(0, np.bool_),
    in_nest=np.zeros(0, np.bool_),
)


def drawn(path: str) -> int:
    return len(re.findall(r"[\d.]+ [\d.]+", path))


def test_every_nucleus_is_drawn_once_in_its_class() -> None:
    shown = overlay(IMAGE)
    assert drawn(shown.lymphocytes) == int(IMAGE.is_lymphocyte.sum())
    assert drawn(shown.others) == int((~IMAGE.is_lymphocyte).sum())
    assert shown.nests.count("M") == int(IMAGE.in_nest.sum())


def test_places_are_those_measured() -> None:
    shown = overlay(replace(IMAGE, is_lymphocyte=np.ones(200, np.bool_)))
    first = re.match(r"M([\d.]+) ([\d.]+)", shown.lymphocytes)
    assert first
    assert float(first[1]) == pytest.approx(float(IMAGE.x[0]), abs=0.051)
    assert float(first[2]) == pytest.approx(float(IMAGE.y[0]), abs=0.051)


def test_classes_differ_by_shape_and_nests_are_outlined() -> None:
    html = render_html(samples.full(), samples.figures())
    ring = re.search(r'<marker id="ring-0".*?</marker>', html)
    cross = re.search(r'<marker id="cross-0".*?</marker>', html)
    assert ring
    assert cross
    assert "<circle" in ring[0]
    assert "<circle" not in cross[0]
    assert 'mask="url(#nest-0)"' in html


def test_the_caption_counts_what_is_drawn() -> None:
    lymphocytes = int(IMAGE.is_lymphocyte.sum())
    inside = int((IMAGE.is_lymphocyte & IMAGE.in_nest).sum())
    caption = overlay(IMAGE).caption
    assert f"{lymphocytes} lymphocyte-like nuclei; {200 - lymphocytes} other nuclei" in caption
    assert f"{inside} of the lymphocyte-like nuclei inside nests" in caption


def test_an_image_without_nuclei_says_so() -> None:
    shown = overlay(NONE)
    assert (shown.lymphocytes, shown.others, shown.nests) == ("", "", "")
    assert "0 lymphocyte-like nuclei; 0 other nuclei; no nest found" in shown.caption


def test_a_nucleus_without_a_place_is_neither_drawn_nor_counted() -> None:
    x = IMAGE.x.copy()
    x[:5] = np.nan
    shown = overlay(replace(IMAGE, x=x, is_lymphocyte=np.ones(200, np.bool_)))
    assert drawn(shown.lymphocytes) == 195
    assert shown.caption.startswith("195 lymphocyte-like")


@given(st.integers(20, 4000), st.floats(0.05, 20))
def test_the_scale_bar_is_round_and_true(width: int, um_per_px: float) -> None:
    shown = overlay(replace(NONE, width=width, um_per_px=um_per_px))
    length = int(shown.bar_label.removesuffix(" µm"))
    assert length / 10 ** (len(str(length)) - 1) in {1, 2, 5}
    assert shown.bar * um_per_px == pytest.approx(length)
    assert shown.bar <= 0.25 * width or length == 1


def test_an_assumed_scale_says_so_on_the_bar() -> None:
    html = render_html(samples.test_first(), samples.figures())
    assert "200 µm assumed</text>" in html or "100 µm assumed</text>" in html
    assert "assumed: nobody stated the resolution." in html
    assert "µm assumed" not in render_html(samples.full(), samples.figures())


def test_only_pictures_become_addresses() -> None:
    assert data_address(b"\x89PNG....").startswith("data:image/png;base64,")
    with pytest.raises(ValueError, match="JPEG or PNG"):
        data_address(b"<svg onload=alert(1)>")
