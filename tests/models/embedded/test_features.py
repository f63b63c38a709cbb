import numpy as np
import pytest
from nuclei_fields import draw, grid_points

from immunopath.models.embedded.candidates import base_maps, find_candidates
from immunopath.models.embedded.density import Workspace, optical_density
from immunopath.models.embedded.features import (
    GAIN_POWER,
    NAMES,
    NEIGHBOUR_CAP_UM,
    Measured,
    measure,
)
from immunopath.models.embedded.regions import measure_regions


def _measure(rgb: np.ndarray, gain: float = 1.0) -> Measured:
    work = Workspace()
    od = optical_density(rgb, np.full(3, 245, np.float32), work) * np.float32(gain)
    maps = base_maps(od, work)
    return measure(maps, find_candidates(maps, work), work)


def _column(measured: Measured, name: str) -> np.ndarray:
    return measured.values[:, NAMES.index(name)]


def test_one_finite_row_per_candidate_in_the_declared_order() -> None:
    measured = _measure(draw(120, 100, 0.5, grid_points(120, 100, 14)))
    assert measured.values.shape == (len(grid_points(120, 100, 14)), len(NAMES))
    assert measured.values.dtype == np.float32
    assert np.isfinite(measured.values).all()


def test_no_candidate_gives_an_empty_table() -> None:
    assert _measure(np.full((64, 64, 3), 245, np.uint8)).values.shape == (0, len(NAMES))


def test_the_gain_scales_density_features_and_leaves_the_others() -> None:
    rgb = draw(120, 100, 0.5, grid_points(120, 100, 14))
    plain, doubled = _measure(rgb), _measure(rgb, 1.5)
    scaled = plain.values * np.power(np.float32(1.5), GAIN_POWER)
    # The ratios carry a small constant against empty ground, so they move a little.
    tolerance = np.where([n[:2] in ("rg", "bg") for n in NAMES], 0.02, 2e-3)
    assert (np.abs(doubled.values - scaled) <= tolerance * (1 + np.abs(scaled))).all()


@pytest.mark.parametrize("radius", [2.0, 2.7, 3.2])
def test_the_region_measures_the_nucleus_in_square_micrometres(radius: float) -> None:
    points = grid_points(120, 100, 20)
    measured = _measure(draw(120, 100, 0.5, points, radius_um=radius))
    assert np.median(measured.regions.area) == pytest.approx(np.pi * radius**2, rel=0.25)


def test_a_round_nucleus_has_ratio_and_compactness_near_one() -> None:
    measured = _measure(draw(60, 60, 0.5, np.array([[30.0, 30.0]])))
    assert measured.regions.axis_ratio[0] == pytest.approx(1, abs=0.08)
    assert measured.regions.compactness[0] == pytest.approx(1, abs=0.08)
    assert measured.regions.offset[0] < 0.5


def test_neighbour_distances_are_in_micrometres_and_capped() -> None:
    pair = _measure(draw(120, 60, 0.5, np.array([[40.0, 30.0], [52.0, 30.0]])))
    assert _column(pair, "near1") == pytest.approx([12, 12], abs=1.1)
    assert _column(pair, "near3").tolist() == [NEIGHBOUR_CAP_UM] * 2
    alone = _measure(draw(60, 60, 0.5, np.array([[30.0, 30.0]])))
    assert _column(alone, "near1").tolist() == [NEIGHBOUR_CAP_UM]


def test_crowding_grows_with_density() -> None:
    loose = _column(_measure(draw(120, 100, 0.5, grid_points(120, 100, 20))), "crowd20")
    dense = _column(_measure(draw(120, 100, 0.5, grid_points(120, 100, 9))), "crowd20")
    assert np.median(dense) > 2 * np.median(loose)


def test_regions_of_nothing_are_empty() -> None:
    work = Workspace()
    od = optical_density(np.full((40, 40, 3), 245, np.uint8), np.full(3, 245, np.float32), work)
    found = find_candidates(base_maps(od, work), work)
    assert measure_regions(od[0], np.zeros(0, np.float32), found, work).area.shape == (0,)
