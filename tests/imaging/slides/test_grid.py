"""The grid of micrometres."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.imaging.slides.grid import SHORT, plan_grid, tile_places
from immunopath.imaging.slides.mask import Kind, TissueMask


@settings(deadline=None)
@given(
    corner=st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)),
    size=st.tuples(st.integers(1, 60_000), st.integers(1, 60_000)),
    mpp=st.floats(0.1, 4), side=st.sampled_from([112.0, 128.0, 256.0, 448.0]),
)  # fmt: skip
def test_tiles_cover_without_overlap(
    corner: tuple[int, int], size: tuple[int, int], mpp: float, side: float
) -> None:
    (x, y), (width, height) = corner, size
    places = plan_grid((x, y, width, height), mpp, side)
    if not places:
        assert min(width, height) < side / mpp
        return
    columns = sorted({(box[0], box[2]) for _, _, box in places})
    rows = sorted({(box[1], box[3]) for _, _, box in places})
    assert len(places) == len(columns) * len(rows)
    for start, full, edges in ((x, width, columns), (y, height, rows)):
        assert edges[0][0] == start
        assert all(a + n == b for (a, n), (b, _) in itertools.pairwise(edges))
        rest = start + full - (edges[-1][0] + edges[-1][1])
        assert 0 <= rest < side / mpp + 1  # borders are whole pixels
        assert all(abs(n - side / mpp) <= 1 + SHORT * side / mpp for _, n in edges)
        assert all(abs((a - start) * mpp - k * side) <= mpp for k, (a, _) in enumerate(edges))


def test_a_tile_may_lack_one_pixel_in_a_hundred() -> None:
    assert len(plan_grid((0, 0, 512, 512), 0.499, 256)) == 1
    assert len(plan_grid((0, 0, 500, 512), 0.499, 256)) == 0


@settings(deadline=None)
@given(mpp=st.floats(0.1, 1))
def test_the_same_place_at_every_scale(mpp: float) -> None:
    fine = plan_grid((0, 0, 40_000, 40_000), mpp, 256)
    coarse = plan_grid((0, 0, 20_000, 20_000), 2 * mpp, 256)
    ours = {(c, r): (b[0] * mpp, b[1] * mpp) for c, r, b in fine}
    for column, row, box in coarse:
        x, y = ours[column, row]
        assert abs(x - box[0] * 2 * mpp) <= 2 * mpp
        assert abs(y - box[1] * 2 * mpp) <= 2 * mpp


def test_places_know_what_the_mask_says() -> None:
    kinds = np.zeros((64, 96), np.uint8)
    kinds[:32, :32] = Kind.tissue
    kinds[:32, 32:48] = Kind.pen
    kinds[40:48, 0:32] = Kind.fold
    mask = TissueMask(kinds, 8.0, (240, 240, 240), 0.25, np.zeros((64, 96, 3), np.uint8))
    bounds = (1000, 2000, 96 * 16, 64 * 16)
    found = {(p.column, p.row): p for p in tile_places(bounds, 0.5, 256, mask)}
    assert found[0, 0].box == (1000, 2000, 512, 512)
    assert (found[0, 0].tissue, found[0, 0].pen, found[0, 0].fold) == (1.0, 0.0, 0.0)
    assert (found[1, 0].tissue, found[1, 0].pen) == (0.0, 0.5)
    assert found[0, 1].fold == 0.25
    assert len(found) == 6
