"""Regions of nuclei: area, shape and place of drawn discs and ellipses come out as drawn."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.models.embedded.candidates import Candidates
from immunopath.models.embedded.density import WORK_MPP, Workspace
from immunopath.models.embedded.regions import CELL_RADIUS_UM, PIXEL_UM2, Regions, measure_regions

F32 = npt.NDArray[np.float32]
NAMES = ("area", "axis_ratio", "compactness", "mean", "spread", "contrast", "offset", "x", "y")


def at(*points: tuple[int, int]) -> Candidates:
    x, y = np.array(points, np.int32).reshape(-1, 2).T
    none, colours = np.zeros(len(points), np.float32), np.zeros((3, len(points)), np.float32)
    return Candidates(x, y, none, colours, 0, 0)


def plane(size: int = 80) -> F32:
    return np.zeros((size, size), np.float32)


def ellipse(centre: tuple[int, int], axes: tuple[int, int], angle: float = 0) -> F32:
    drawn = plane()
    cv2.ellipse(drawn, centre, axes, angle, 0, 360, 1.0, -1)
    return drawn


def disc(x: int, y: int, radius: int) -> F32:
    rows, columns = np.indices((80, 80))
    return ((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).astype(np.float32)


def measured(red: F32, found: Candidates, lowest: float = 0.0) -> Regions:
    return measure_regions(red, np.full(len(found), lowest, np.float32), found, Workspace())


def test_no_candidate_is_no_region() -> None:
    regions = measured(plane(), at())
    assert {getattr(regions, name).shape for name in NAMES} == {(0,)}


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 10), st.integers(30, 50), st.integers(30, 50))
def test_a_disc_has_its_own_area_and_is_round(radius: int, x: int, y: int) -> None:
    red = disc(x, y, radius)
    regions = measured(red, at((x, y)))
    assert regions.area[0] == pytest.approx(red.sum() * PIXEL_UM2)
    assert regions.axis_ratio[0] == pytest.approx(1, abs=1e-3)
    assert regions.compactness[0] == pytest.approx(1, abs=0.05)
    assert regions.offset[0] == pytest.approx(0, abs=1e-3)
    assert (regions.x[0], regions.y[0]) == pytest.approx((x, y), abs=1e-3)


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_an_ellipse_keeps_its_axes_whichever_way_it_lies(angle: float) -> None:
    regions = measured(ellipse((40, 40), (11, 5), angle), at((40, 40)))
    assert regions.axis_ratio[0] == pytest.approx(5.5 / 11.5, abs=0.06)
    assert regions.compactness[0] == pytest.approx(1, abs=0.06)


def test_a_region_ends_at_six_micrometres() -> None:
    """A field of even darkness is no nucleus: the cell's radius bounds what is measured."""
    regions = measured(np.ones((80, 80), np.float32), at((40, 40)))
    radius = CELL_RADIUS_UM / WORK_MPP
    assert regions.area[0] == pytest.approx(np.pi * radius**2 * PIXEL_UM2, rel=0.12)


def test_only_what_is_darker_than_the_midpoint_belongs() -> None:
    red = 0.2 * ellipse((40, 40), (10, 10)) + 0.8 * ellipse((40, 40), (5, 5))
    whole, core = ellipse((40, 40), (10, 10)).sum(), ellipse((40, 40), (5, 5)).sum()
    assert measured(red, at((40, 40))).area[0] == pytest.approx(core * PIXEL_UM2)
    assert measured(red, at((40, 40)), lowest=-0.7).area[0] == pytest.approx(whole * PIXEL_UM2)


def test_neighbours_share_no_pixel() -> None:
    red = np.maximum(ellipse((34, 40), (6, 6)), ellipse((46, 40), (6, 6)))
    both = measured(red, at((34, 40), (46, 40)))
    assert both.area.sum() <= red.sum() * PIXEL_UM2 + 1e-3
    assert both.area[0] == pytest.approx(both.area[1], rel=0.15)
    assert both.x[0] < 40 < both.x[1]


def test_density_is_described_by_mean_spread_and_contrast() -> None:
    red = 0.5 * ellipse((40, 40), (6, 6))
    red[40, 34:47] = 0.9
    regions = measured(red, at((40, 40)), lowest=0.05)
    inside = red[red > (red[40, 40] + 0.05) / 2]
    assert regions.mean[0] == pytest.approx(inside.mean(), rel=1e-4)
    assert regions.spread[0] == pytest.approx(inside.std(), abs=1e-4)
    assert regions.contrast[0] == pytest.approx(inside.mean() - 0.05, rel=1e-4)


def test_an_off_centre_peak_is_told_in_micrometres() -> None:
    regions = measured(ellipse((40, 40), (8, 8)), at((43, 40)))
    assert regions.offset[0] == pytest.approx(3 * WORK_MPP, abs=0.15)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 9999), st.integers(1, 12))
def test_every_value_is_finite_and_in_its_range(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    red = cv2.GaussianBlur(rng.random((60, 60), np.float32), (0, 0), 2)
    points = rng.choice(3600, n, replace=False)
    found = at(*[(int(p % 60), int(p // 60)) for p in points])
    regions = measured(red, found, lowest=float(red.min()))
    for name in NAMES:
        values = getattr(regions, name)
        assert values.shape == (n,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all(), name
    assert (regions.area >= PIXEL_UM2 * 0.999).all()
    assert ((regions.axis_ratio > 0) & (regions.axis_ratio <= 1.0001)).all()
    assert (regions.spread >= 0).all()
    assert regions.area.sum() <= 3600 * PIXEL_UM2 + n * PIXEL_UM2


def _areas(shape: tuple[int, int], points: list[tuple[int, int]]) -> list[float]:
    """Regions of a flat field whose midpoint every pixel exceeds: the cells themselves, µm²."""
    lowest = np.full(len(points), -1, np.float32)
    flat = np.ones(shape, np.float32)
    return measure_regions(flat, lowest, at(*points), Workspace()).area.tolist()


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
    found = measure_regions(red, np.zeros(1, np.float32), at((20, 20)), Workspace())
    assert found.area[0] == 45 * 0.25
    assert found.mean[0] == pytest.approx((44 + 1.2) / 45)
    assert found.axis_ratio[0] == pytest.approx(5 / 9, abs=0.01)
    assert found.offset[0] == 0
    assert (found.x[0], found.y[0]) == (20, 20)
    inside = np.append(np.ones(44), 1.2)
    assert found.spread[0] == pytest.approx(inside.std(), abs=1e-3)
