"""Stain normalisation: per slide, glass untouched, never silent about failure."""

import numpy as np
import numpy.typing as npt
import pytest
from he_fields import he_field
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from immunopath.imaging.arrays import RGB
from immunopath.imaging.stain import (
    REINHARD_MEAN,
    REINHARD_STD,
    StainFit,
    StainMethod,
    _lab,
    apply_stain,
    fit_stain,
)

WHITE, THRESHOLD = (245.0, 245.0, 245.0), 0.25
BOTH = (StainMethod.reinhard, StainMethod.macenko)
H, E = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])


def stained(h: npt.NDArray[np.float64], e: npt.NDArray[np.float64], amounts: RGB) -> RGB:
    """Return an image with the amounts (h, w, 2) / 128 of two stains."""
    density = (amounts.astype(float) / 128) @ np.stack([h, e])
    return np.clip(np.rint(246 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def amounts(seed: int = 0) -> RGB:
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.gamma(1.2, 40, (160, 160)).clip(0, 255), rng.gamma(4, 14, (160, 160)).clip(0, 255)], -1
    ).astype(np.uint8)


def fitted(method: StainMethod, *images: RGB) -> StainFit:
    pool = np.concatenate([image.reshape(-1, 3) for image in images])
    return fit_stain(method, pool, WHITE, THRESHOLD)


@pytest.mark.parametrize("method", BOTH)
@given(pixels=arrays.arrays(np.uint8, (6, 5, 3)))
@settings(max_examples=60, deadline=None)
def test_glass_keeps_its_pixels_whatever_the_rest(method: StainMethod, pixels: RGB) -> None:
    fit = fitted(method, he_field(96, 96))
    assert not fit.failed
    out = apply_stain(pixels, fit)
    density = np.maximum(np.log(246 / (pixels.astype(float) + 1)), 0).sum(-1)
    glass = density <= THRESHOLD
    assert np.array_equal(out[glass], pixels[glass])
    assert out.shape == pixels.shape
    assert out.dtype == np.uint8


@pytest.mark.parametrize("method", BOTH)
def test_two_lots_of_stain_come_closer(method: StainMethod) -> None:
    one = stained(H, E, amounts())
    other = stained(H * (1.2, 0.8, 1.0), E * (1.0, 0.7, 1.6), amounts())
    made = [apply_stain(image, fitted(method, image)).astype(int) for image in (one, other)]
    before = np.abs(one.astype(int) - other).mean()
    assert np.abs(made[0] - made[1]).mean() < 0.5 * before


def test_macenko_finds_the_stains_that_were_used() -> None:
    fit = fitted(StainMethod.macenko, stained(H, E, amounts()))
    for found, true in zip(fit.stains, (H, E), strict=True):
        cosine = np.dot(found, true) / np.linalg.norm(found) / np.linalg.norm(true)
        assert cosine > 0.98


def test_reinhard_reaches_its_target_on_tissue() -> None:
    image = stained(H, E, amounts() + 60)
    made = apply_stain(image, fitted(StainMethod.reinhard, image))
    lab = _lab(made).reshape(-1, 3)
    assert lab.mean(0) == pytest.approx(REINHARD_MEAN, abs=6)
    assert lab.std(0)[1:] == pytest.approx(REINHARD_STD[1:], rel=0.25)


@pytest.mark.parametrize("method", BOTH)
def test_a_tile_full_of_nuclei_stays_bluer_than_its_neighbour(method: StainMethod) -> None:
    poor, rich = he_field(200, 200, nuclei=0.001), he_field(200, 200, nuclei=0.012)
    fit = fitted(method, poor, rich)
    dark = [float(apply_stain(tile, fit)[..., 0].mean()) for tile in (poor, rich)]
    assert dark[0] - dark[1] > 10


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("kind", ["white", "black", "one stain", "few", "one colour"])
def test_what_cannot_be_fitted_says_so_and_changes_nothing(method: StainMethod, kind: str) -> None:
    rng = np.random.default_rng(0)
    flat = np.full((100, 100, 3), 255, np.uint8)
    single = rng.uniform(0.4, 1.2, (100, 100, 1)) * E
    image = {
        "white": flat,
        "black": np.zeros_like(flat),
        "one stain": np.rint(246 * np.exp(-single) - 1).clip(0, 255).astype(np.uint8),
        "few": he_field(30, 30),
        "one colour": np.full((100, 100, 3), (200, 120, 180), np.uint8),
    }[kind]
    fit = fitted(method, image)
    if kind == "one stain" and method is StainMethod.reinhard:
        assert fit.applied == "reinhard"
        return
    assert fit.failed
    assert fit.applied == "none"
    assert apply_stain(image, fit) is image


def test_none_does_nothing() -> None:
    image = he_field(64, 64)
    fit = fitted(StainMethod.none, image)
    assert (fit.applied, fit.failed) == ("none", "")
    assert apply_stain(image, fit) is image


@pytest.mark.parametrize("method", BOTH)
def test_a_fit_survives_its_record(method: StainMethod) -> None:
    image = he_field(96, 96)
    fit = fitted(method, image)
    again = StainFit.model_validate_json(fit.model_dump_json())
    assert np.array_equal(apply_stain(image, fit), apply_stain(image, again))
