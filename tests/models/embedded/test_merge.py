import numpy as np
from nuclei_fields import PALE, STROMA, draw, grid_points

from immunopath.models.embedded.candidates import base_maps, find_candidates
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.density import Workspace, optical_density
from immunopath.models.embedded.features import Measured, measure
from immunopath.models.embedded.merge import (
    Nuclei,
    call_nuclei,
    large_components,
    merge_nuclei,
)


def _stages(rgb: np.ndarray) -> tuple[Nuclei, Measured]:
    work = Workspace()
    od = optical_density(rgb, np.full(3, 245, np.float32), work)
    maps = base_maps(od, work)
    found = find_candidates(maps, work)
    measured = measure(maps, found, work)
    return call_nuclei(found, measured, shipped(), 1.0), measured


def _points(xy: list[tuple[float, float]], lymphocyte: list[bool]) -> Nuclei:
    n = len(xy)
    x, y = np.array(xy, np.float32).reshape(n, 2).T
    flat = np.full(n, 20, np.float32)
    return Nuclei(x, y, flat, flat / 25, flat / 40, np.array(lymphocyte, bool))


def _vesicular(centre: tuple[float, float], radius_um: float, size: int = 160) -> np.ndarray:
    rgb = np.full((size, size, 3), STROMA, np.uint8)
    yy, xx = np.mgrid[:size, :size] * 0.5 + 0.25
    rgb[np.hypot(xx - centre[0], yy - centre[1]) < radius_um] = PALE
    return rgb


def test_separate_small_nuclei_are_neither_joined_nor_lost() -> None:
    points = grid_points(120, 100, 14)
    called, measured = _stages(draw(120, 100, 0.5, points))
    assert len(called) == len(points)
    assert len(merge_nuclei(called, measured, 1.0)) == len(points)


def test_a_large_nucleus_is_one_other_nucleus_whatever_points_it_holds() -> None:
    rgb = _vesicular((40, 40), 5.5)
    _, measured = _stages(rgb)
    points = _points([(37, 38), (43, 41), (40, 44), (70, 70)], [True, False, True, True])
    merged = merge_nuclei(points, measured, 1.0)
    assert len(merged) == 2
    inside = merged.x_um < 60
    assert merged.is_lymphocyte[inside].tolist() == [False]
    assert abs(float(merged.x_um[inside][0]) - 40) < 0.6
    assert abs(float(merged.y_um[inside][0]) - 40) < 0.6
    assert 60 < float(merged.area_um2[inside][0]) < 130
    assert merged.is_lymphocyte[~inside].tolist() == [True]


def test_a_large_component_without_any_point_adds_no_nucleus() -> None:
    _, measured = _stages(_vesicular((40, 40), 5.5))
    assert len(merge_nuclei(_points([(70, 70)], [True]), measured, 1.0)) == 1


def test_components_outside_30_to_260_square_micrometres_are_not_large_nuclei() -> None:
    for radius, expected in ((2.5, 0), (5.5, 1), (12.0, 0)):
        _, measured = _stages(_vesicular((40, 40), radius))
        _, centres, _, _ = large_components(measured.red_half, 1.0)
        assert len(centres) == expected


def test_other_points_on_one_slope_are_joined_and_lymphocytes_are_not() -> None:
    rgb = _vesicular((40, 40), 3.0)
    _, measured = _stages(rgb)
    near = [(38.6, 40.0), (41.4, 40.0)]
    assert len(merge_nuclei(_points(near, [False, False]), measured, 1.0)) == 1
    kept = merge_nuclei(_points(near, [True, True]), measured, 1.0)
    assert kept.is_lymphocyte.tolist() == [True, True]


def test_points_further_than_the_climb_stay_apart() -> None:
    _, measured = _stages(_vesicular((40, 40), 3.0))
    assert len(merge_nuclei(_points([(40, 40), (60, 40)], [False, False]), measured, 1.0)) == 2


def test_nothing_merges_to_nothing() -> None:
    _, measured = _stages(np.full((64, 64, 3), 245, np.uint8))
    assert len(merge_nuclei(Nuclei.join([]), measured, 1.0)) == 0


def test_merged_nuclei_come_in_reading_order() -> None:
    called, measured = _stages(draw(120, 100, 0.5, grid_points(120, 100, 14)))
    merged = merge_nuclei(called, measured, 1.0)
    assert np.lexsort((merged.x_um, merged.y_um)).tolist() == list(range(len(merged)))
