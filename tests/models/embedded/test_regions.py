import numpy as np
import pytest

from immunopath.models.embedded.candidates import Candidates
from immunopath.models.embedded.density import Workspace
from immunopath.models.embedded.regions import CELL_RADIUS_UM, measure_regions


def _candidates(points: list[tuple[int, int]]) -> Candidates:
    x, y = np.array(points, np.int32).reshape(-1, 2).T
    none = np.zeros(len(points), np.float32)
    return Candidates(x, y, none, np.zeros((3, len(points)), np.float32), 0, 0)


def _areas(shape: tuple[int, int], points: list[tuple[int, int]]) -> list[float]:
    """Regions of a flat field whose midpoint every pixel exceeds: the cells themselves, µm²."""
    lowest = np.full(len(points), -1, np.float32)
    flat = np.ones(shape, np.float32)
    return measure_regions(flat, lowest, _candidates(points), Workspace()).area.tolist()


def test_a_lone_cell_is_a_disc_of_the_cell_radius() -> None:
    (area,) = _areas((61, 61), [(30, 30)])
    assert area == pytest.approx(np.pi * CELL_RADIUS_UM**2, rel=0.03)


def test_every_pixel_belongs_to_its_nearest_candidate() -> None:
    rng = np.random.default_rng(5)
    points = [(int(x), int(y)) for x, y in rng.permutation(40 * 30)[:25, None] // [[1, 40]] % 40]
    points = sorted({(x, min(y, 29)) for x, y in points}, key=lambda p: (p[1], p[0]))
    yy, xx = np.mgrid[:30, :40]
    squared = np.stack([(xx - x) ** 2 + (yy - y) ** 2 for x, y in points])
    near = squared.min(axis=0) <= (CELL_RADIUS_UM / 0.5) ** 2
    areas = np.array(_areas((30, 40), points))
    assert areas.sum() == near.sum() * 0.25
    alone = (squared == squared.min(axis=0)).sum(axis=0) == 1
    for k, area in enumerate(areas):
        sure = ((squared.argmin(axis=0) == k) & near & alone).sum() * 0.25
        tied = ((squared[k] == squared.min(axis=0)) & near & ~alone).sum() * 0.25
        assert sure <= area <= sure + tied


def test_cells_end_at_the_border_of_the_field() -> None:
    (area,) = _areas((50, 50), [(0, 0)])
    assert area == pytest.approx(np.pi * CELL_RADIUS_UM**2 / 4, rel=0.12)


def test_the_region_keeps_what_lies_above_the_midpoint() -> None:
    red = np.zeros((41, 41), np.float32)
    red[18:23, 16:25] = 1
    red[20, 20] = 1.2
    found = measure_regions(red, np.zeros(1, np.float32), _candidates([(20, 20)]), Workspace())
    assert found.area[0] == 45 * 0.25
    assert found.mean[0] == pytest.approx((44 + 1.2) / 45)
    assert found.axis_ratio[0] == pytest.approx(5 / 9, abs=0.01)
    assert found.offset[0] == 0
    assert (found.x[0], found.y[0]) == (20, 20)
    inside = np.append(np.ones(44), 1.2)
    assert found.spread[0] == pytest.approx(inside.std(), abs=1e-3)
