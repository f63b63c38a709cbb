import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.models.embedded.texture import (
    CHANNELS,
    FEATURES,
    block_features,
    cell_channels,
    half_density,
    stain_gain,
    stain_planes,
    white_point,
)

COLOUR = st.tuples(*[st.integers(0, 255)] * 3)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 250, (height, width, 3)).astype(np.uint8)


@settings(deadline=None)
@given(COLOUR)
def test_half_density_matches_its_formula(colour: tuple[int, int, int]) -> None:
    rgb = np.full((4, 6, 3), colour, np.uint8)
    od = half_density(rgb, (240.0, 240.0, 240.0))
    expected = np.maximum(0, -np.log((np.array(colour) + 1) / 241))
    assert {plane.shape for plane in od} == {(2, 3)}
    assert [plane[1, 1] for plane in od] == pytest.approx(expected, abs=1e-5)


def test_half_density_is_the_mean_of_densities_not_of_grey_levels() -> None:
    rgb = np.full((2, 2, 3), 240, np.uint8)
    rgb[0] = 23
    red, _, _ = half_density(rgb, (240.0, 240.0, 240.0))
    assert red[0, 0] == pytest.approx(np.log(241 / 24) / 2, abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_the_white_point_is_numpys_percentile(seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(200, 256, (40, 37, 3)).astype(np.uint8)
    expected = np.clip(np.percentile(rgb[::4, ::4].reshape(-1, 3), 99.5, axis=0), 225, 255)
    assert white_point(rgb) == pytest.approx(expected, abs=1e-6)


def test_the_white_point_is_held_to_paper_white() -> None:
    assert white_point(np.zeros((8, 8, 3), np.uint8)) == (225, 225, 225)
    assert white_point(np.full((8, 8, 3), 255, np.uint8)) == (255, 255, 255)


def test_pure_stains_fall_into_their_planes() -> None:
    h, e = stain_planes(np.array([[0.65, 0.07]], np.float32), np.array([[0.70, 0.99]], np.float32))
    assert h[0] == pytest.approx([1, 0], abs=0.01)
    assert e[0] == pytest.approx([0, 1], abs=0.01)


@pytest.mark.parametrize(("rows", "cols"), [(0, 3), (3, 0), (1, 1), (4, 7)])
def test_channels_have_the_asked_shape(rows: int, cols: int) -> None:
    cells = cell_channels(noise(90, 150), rows, cols)
    assert cells.shape == (rows, cols, len(CHANNELS))
    assert cells.dtype == np.float32
    assert np.isfinite(cells).all()


def test_glass_is_no_tissue_and_stays_finite() -> None:
    cells = cell_channels(np.full((100, 100, 3), 243, np.uint8), 4, 4)
    features = block_features(cells, 1.0)
    assert features.shape == (3, 3, len(FEATURES))
    assert np.isfinite(features).all()
    assert (features[..., FEATURES.index("tissue")] == 0).all()


def test_a_quarter_turn_turns_the_features() -> None:
    rgb = noise(100, 100)
    straight = block_features(cell_channels(rgb, 4, 4), 1.0)
    turned = block_features(cell_channels(np.rot90(rgb).copy(), 4, 4), 1.0)
    assert turned == pytest.approx(np.rot90(straight), abs=0.02)


def test_aligned_texture_is_coherent_and_noise_is_not() -> None:
    lines = np.full((100, 100, 3), 230, np.uint8)
    lines[:, ::12] = lines[:, 1::12] = lines[:, 2::12] = lines[:, 3::12] = (90, 60, 140)
    place = FEATURES.index("coherence")
    assert block_features(cell_channels(lines, 4, 4), 1.0)[..., place].min() > 0.9
    assert block_features(cell_channels(noise(100, 100), 4, 4), 1.0)[..., place].max() < 0.4


def test_the_gain_moves_darkness_but_no_ratio() -> None:
    cells = cell_channels(noise(100, 100), 4, 4)
    one, two = block_features(cells, 1.0), block_features(cells, 2.0)
    moved = {name for i, name in enumerate(FEATURES) if np.abs(two - one)[..., i].max() > 0.1}
    assert {"h", "small", "large"} <= moved
    assert moved.isdisjoint({"e", "small_to_medium", "medium_to_large", "blob_ratio", "coherence"})


def test_the_stain_gain_goes_half_way_and_is_held() -> None:
    def cells(h: float, tissue: float = 1.0) -> np.ndarray:
        table = np.zeros((2, 2, len(CHANNELS)), np.float32)
        table[..., 0], table[..., 1] = tissue, h
        return table

    assert stain_gain([cells(0.6)]) == pytest.approx(1)
    assert stain_gain([cells(0.15)]) == pytest.approx(2)
    assert stain_gain([cells(0.001)]) == 2.5
    assert stain_gain([cells(9.0)]) == 0.4
    assert stain_gain([]) == stain_gain([cells(0.9, tissue=0.0)]) == 1
