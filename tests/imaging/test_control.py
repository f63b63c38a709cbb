"""The control image: densities, shares and sizes."""

import numpy as np
import pytest
from he_fields import he_field

from immunopath.imaging.control import CONTROL_PX, control_image, optical_density


def test_density_is_measured_against_the_own_white() -> None:
    rgb = np.full((40, 40, 3), 230, np.uint8)
    rgb[:4] = 100
    for channel in optical_density(rgb):
        assert channel[20, 20] == 0
        assert channel[0, 0] == pytest.approx(np.log(231 / 101), rel=1e-5)


def test_a_dark_image_has_no_white_of_its_own() -> None:
    for channel in optical_density(np.full((40, 40, 3), 50, np.uint8)):
        assert channel[0, 0] == pytest.approx(np.log(201 / 51), rel=1e-5)


def test_the_longer_side_is_at_most_256() -> None:
    assert control_image(he_field(600, 300)).shape == (CONTROL_PX, 128)
    assert control_image(he_field(100, 90)).shape == (100, 90)


def test_shares_are_of_the_field() -> None:
    rgb = np.full((100, 100, 3), 245, np.uint8)
    rgb[:30] = (150, 80, 160)
    rgb[90:] = 10
    control = control_image(rgb)
    assert control.tissue_share == pytest.approx(0.4, abs=0.03)
    assert control.dark_share == pytest.approx(0.1, abs=0.02)
    assert len(control.total) == pytest.approx(4000, rel=0.06)


def test_white_glass_is_not_clipped_but_saturated_colour_is() -> None:
    glass = np.full((100, 100, 3), 255, np.uint8)
    assert control_image(glass).clipped_share == 0
    glass[:50] = (255, 120, 200)
    assert control_image(glass).clipped_share == pytest.approx(0.5)
    glass[50:75] = (90, 0, 120)
    assert control_image(glass).clipped_share == pytest.approx(0.75)


def test_statistics_of_a_large_field_match_those_of_all_its_pixels() -> None:
    """Above 160 px every second pixel is read; the means must not move."""
    rgb = he_field(256, 256, seed=3)
    control = control_image(rgb)
    quarters = [
        control_image(np.ascontiguousarray(rgb[y : y + 128, x : x + 128]))
        for y in (0, 128)
        for x in (0, 128)
    ]
    assert control.tissue_share == pytest.approx(
        np.mean([q.tissue_share for q in quarters]), abs=0.03
    )
    assert control.total.mean() == pytest.approx(
        np.mean(np.concatenate([q.total for q in quarters])), rel=0.1
    )
