"""The patch descriptor: its groups, and what must not change it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nuclei_fields import GLASS, STROMA, draw, grid_points
from pixel_store import pixels, restained

from immunopath.models.embedded.descriptor import GROUPS, SIZE, describe
from immunopath.models.protocols import RGB

Vector = npt.NDArray[np.float32]
PATCH = "lung_he_til/u24_train300/24.png"
OTHER = "he_other/tiatoolbox_kather1.tif"
HISTOGRAMS = ("shape_2um", "shape_4um", "coherence_2um", "coherence_6um", "lbp_2um", "lbp_4um")


@pytest.fixture(scope="module")
def patch(shared_images: Path) -> RGB:
    return np.ascontiguousarray(pixels(shared_images / PATCH)[:256, :256])


@pytest.fixture(scope="module")
def found(patch: RGB) -> Vector:
    return describe(patch)


@pytest.fixture(scope="module")
def away(found: Vector, shared_images: Path) -> float:
    """Return how far another tissue lies: the yardstick for what must be near."""
    other = describe(np.ascontiguousarray(pixels(shared_images / OTHER)[:256, :256]))
    return float(np.linalg.norm(other - found))


def group(vector: Vector, name: str) -> Vector:
    start = 0
    for each, size in GROUPS:
        if each == name:
            return vector[start : start + size]
        start += size
    raise KeyError(name)


def test_the_groups_make_up_the_whole(found: Vector) -> None:
    assert SIZE == sum(size for _, size in GROUPS) == 128
    assert len({name for name, _ in GROUPS}) == len(GROUPS)
    assert found.shape == (SIZE,)
    assert found.dtype == np.float32


def test_quantiles_rise(found: Vector) -> None:
    for name in ("h_quantiles", "e_quantiles"):
        values = group(found, name)
        assert (np.diff(values) >= 0).all()
        assert values[-1] > values[0]


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_histograms_are_roots_of_shares(found: Vector, name: str) -> None:
    values = group(found, name)
    assert (values >= 0).all()
    assert float(np.square(values).sum()) == pytest.approx(1, abs=1e-3)


def test_openings_take_away_and_closings_add(found: Vector) -> None:
    opened, closed = np.split(group(found, "granulometry"), 2)
    assert (np.diff(opened) <= 1e-6).all()
    assert (np.diff(closed) >= -1e-6).all()
    assert opened[0] <= closed[0]


def test_correlations_and_tissue_share_stay_in_range(found: Vector) -> None:
    colour = group(found, "colour")
    for at in (2, 5, 6):
        assert -1.001 <= colour[at] <= 1.001
    assert 0 <= colour[7] <= 1


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turning_and_mirroring_change_next_to_nothing(
    patch: RGB, found: Vector, away: float, turns: int, mirrored: bool
) -> None:
    turned = np.rot90(patch[:, ::-1] if mirrored else patch, turns)
    moved = describe(np.ascontiguousarray(turned)) - found
    assert np.linalg.norm(moved) < 0.1 * away
    for name in HISTOGRAMS:  # all pixels enter these; quantiles read every fourth
        assert np.abs(group(moved, name)).max() < 0.005


@pytest.mark.parametrize(("h_gain", "e_gain"), [(0.7, 1.0), (1.4, 1.0), (1.0, 0.75), (1.3, 1.3)])
def test_a_stronger_or_weaker_stain_moves_less_than_another_tissue(
    patch: RGB, found: Vector, away: float, h_gain: float, e_gain: float
) -> None:
    moved = np.linalg.norm(describe(restained(patch, h_gain, e_gain)) - found)
    assert moved < 0.5 * away


def test_more_nuclei_are_seen_as_more() -> None:
    few = draw(128, 128, 0.5, grid_points(128, 128, 30))
    many = draw(128, 128, 0.5, grid_points(128, 128, 9))
    energy = [float(group(describe(rgb), "bands")[2]) for rgb in (few, many)]
    assert energy[0] < energy[1]


@pytest.mark.parametrize("colour", [GLASS, STROMA, (0, 0, 0), (255, 255, 255)])
def test_a_flat_field_has_a_descriptor_without_nan(colour: tuple[int, int, int]) -> None:
    assert np.isfinite(describe(np.full((64, 64, 3), colour, np.uint8))).all()


@settings(max_examples=25, deadline=None)
@given(hnp.array_shapes(min_dims=2, max_dims=2, min_side=32, max_side=80), st.integers(0, 99))
def test_any_patch_has_a_finite_descriptor(shape: tuple[int, ...], seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    vector = describe(rgb)
    assert vector.shape == (SIZE,)
    assert np.isfinite(vector).all()


def test_the_same_pixels_give_the_same_bytes_and_are_left_alone(patch: RGB, found: Vector) -> None:
    kept = patch.copy()
    kept.setflags(write=False)
    assert describe(kept).tobytes() == found.tobytes()
    assert np.array_equal(kept, patch)
