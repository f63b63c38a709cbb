import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.models.embedded.density import Workspace, optical_density
from immunopath.models.embedded.looks import TileBox
from immunopath.models.embedded.tissue import case_tissue_um2, paste, tissue_grid, tissue_mask


def test_tissue_counts_pixels_not_the_box() -> None:
    rgb = np.full((100, 200, 3), 244, np.uint8)
    rgb[:, :50] = (150, 90, 150)
    mask = tissue_mask(optical_density(rgb, np.full(3, 244, np.float32), Workspace()))
    grid = tissue_grid(mask, TileBox("a", 0, 0, 0, 100, 50))
    assert grid.um2.shape == (5, 10)
    assert case_tissue_um2([grid]) == pytest.approx(100 * 50 * 0.25, rel=0.03)
    assert grid.um2[:, :2].min() == 100
    assert grid.um2[:, 3:].max() == 0


def test_a_tile_off_the_grid_shares_a_cell_with_its_neighbour() -> None:
    mask = np.ones((20, 30), np.bool_)
    tiles = [
        tissue_grid(mask, TileBox("a", 0, 10, 20, 15, 10)),
        tissue_grid(mask, TileBox("b", 0, 25, 20, 15, 10)),
    ]
    assert [(g.row, g.column) for g in tiles] == [(2, 1), (2, 2)]
    assert paste(tiles, 2, 1, (1, 3)).tolist() == [[100, 100, 100]]


@given(st.floats(0, 5000), st.floats(0, 5000), st.integers(0, 2**32 - 1))
def test_no_pixel_is_lost_wherever_a_tile_lies(top: float, left: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 60, 2)) > 0.5
    grid = tissue_grid(mask, TileBox("a", 0, left, top, 0, 0))
    assert grid.um2.sum() == mask.sum() * 0.25
    assert grid.um2.max() <= 100
