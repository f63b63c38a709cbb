"""The tissue mask adapts to the slide; pen and folds are told from tissue."""

import cv2
import numpy as np
import pytest
from he_fields import he_field
from slide_files import CMU

from immunopath.imaging.arrays import RGB
from immunopath.imaging.decode import decode_image
from immunopath.imaging.slides.mask import HIGHEST_OD, Kind, TissueMask, glass_colour, tissue_mask
from immunopath.imaging.slides.mask import tissue_share as share_of
from immunopath.imaging.slides.opening import open_slide

MPP = 8.0
TRUTH = np.s_[50:150, 60:200]


def thumbnail(*, gain: float = 1.0, glass: float = 243.0) -> RGB:
    """Return a drawn thumbnail: a block of tissue, its optical density times `gain`."""
    rng = np.random.default_rng(0)
    density = np.zeros((200, 260, 3))
    inside = np.log(246 / (he_field(800, 1120).astype(float) + 1))
    density[TRUTH] = cv2.resize(inside, (140, 100), interpolation=cv2.INTER_AREA) * gain
    noise = rng.normal(0, 1.0, (200, 260, 1))
    return np.clip(np.rint((glass + 1) * np.exp(-density) - 1 + noise), 0, 255).astype(np.uint8)


def overlap(mask: TissueMask) -> float:
    truth = np.zeros(mask.kinds.shape, bool)
    truth[TRUTH] = True
    found = mask.kinds == Kind.tissue
    return float((truth & found).sum() / (truth | found).sum())


@pytest.mark.parametrize("gain", [0.2, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("glass", [160.0, 200.0, 243.0, 254.0])
def test_pale_and_dark_slides(gain: float, glass: float) -> None:
    assert overlap(tissue_mask(thumbnail(gain=gain, glass=glass), MPP)) > 0.95


def test_a_pale_slide_gets_a_lower_threshold() -> None:
    usual, pale = tissue_mask(thumbnail(), MPP), tissue_mask(thumbnail(gain=0.2), MPP)
    assert pale.threshold < usual.threshold <= HIGHEST_OD


def test_yellowish_glass_is_glass() -> None:
    rgb = thumbnail().astype(float) * (1.0, 0.98, 0.93)
    assert overlap(tissue_mask(rgb.astype(np.uint8), MPP)) > 0.95


@pytest.mark.parametrize("noise", [0, 1, 4])
def test_bare_glass_has_no_tissue(noise: int) -> None:
    rng = np.random.default_rng(1)
    rgb = np.clip(240 + rng.normal(0, noise, (200, 200, 3)), 0, 255).astype(np.uint8)
    assert (tissue_mask(rgb, MPP).kinds == Kind.tissue).sum() == 0


@pytest.mark.parametrize(
    "colour",
    [(30, 60, 190), (20, 120, 60), (200, 25, 35), (15, 15, 18)],
    ids=["blue", "green", "red", "black"],
)
def test_ink_is_pen(colour: tuple[int, int, int]) -> None:
    rgb = np.ascontiguousarray(thumbnail())
    cv2.line(rgb, (20, 180), (240, 20), colour, 8)
    mask = tissue_mask(rgb, MPP)
    drawn = np.all(rgb == colour, axis=2)
    assert (mask.kinds[drawn] == Kind.pen).mean() > 0.9
    rim = cv2.dilate(drawn.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert (mask.kinds[~rim] == Kind.pen).sum() == 0


def test_a_grey_line_is_no_tissue() -> None:
    rgb = np.ascontiguousarray(np.full((200, 260, 3), 243, np.uint8))
    cv2.line(rgb, (0, 100), (259, 110), (150, 150, 150), 5)
    mask = tissue_mask(rgb, MPP)
    assert (mask.kinds == Kind.tissue).sum() == 0
    assert (mask.kinds == Kind.grey).sum() > 800


def test_a_fold_doubles_both_stains_and_a_lymphoid_aggregate_one() -> None:
    rgb = thumbnail().astype(float)
    density = np.log(244 / (rgb + 1))
    density[60:140, 80:92] *= 2.6
    density[90:120, 140:170] += np.array([0.65, 0.70, 0.29]) * 1.6
    made = np.clip(244 * np.exp(-density) - 1, 0, 255).astype(np.uint8)
    kinds = tissue_mask(made, MPP).kinds
    assert (kinds[62:138, 82:90] == Kind.fold).mean() > 0.8
    assert (kinds[88:122, 138:172] == Kind.tissue).all()


def test_a_picture_without_glass_is_all_tissue() -> None:
    rgb = cv2.resize(he_field(1600, 1600), (200, 200), interpolation=cv2.INTER_AREA)
    mask = tissue_mask(np.asarray(rgb, np.uint8), MPP)
    assert min(mask.white) >= 200
    assert mask.shares()["tissue"] > 0.99


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_colour_is_nothing_to_stumble_over(value: int) -> None:
    mask = tissue_mask(np.full((40, 50, 3), value, np.uint8), MPP)
    assert mask.kinds.shape == (40, 50)
    assert 0 < mask.threshold <= HIGHEST_OD


def test_a_real_slide() -> None:
    with open_slide(CMU) as slide:
        mask = tissue_mask(slide.thumbnail(MPP), MPP)
    shares = mask.shares()
    assert 0.3 < shares["tissue"] < 0.45
    assert shares["pen"] == shares["fold"] == 0
    assert all(235 < channel < 250 for channel in mask.white)


def test_real_ink_on_real_slides(images: dict[str, RGB]) -> None:
    for name, mpp in (("histolab_wsi-blue-pen", 20), ("histoqc_pen_green", 20)):
        shares = tissue_mask(images[name], mpp).shares()
        assert 0.02 < shares["pen"] < 0.05
        assert 0.15 < shares["tissue"] < 0.35


@pytest.fixture
def images() -> dict[str, RGB]:
    folder = CMU.parents[1] / "images" / "negatives"
    names = ("histolab_wsi-blue-pen", "histoqc_pen_green")
    return {name: decode_image(folder / f"{name}.png").pixels for name in names}


def test_the_share_of_tissue_by_the_slides_own_glass() -> None:
    pale = thumbnail(gain=0.2)
    mask = tissue_mask(pale, MPP)
    assert share_of(pale[TRUTH], mask) > 0.95
    assert share_of(pale[:40], mask) < 0.02


def test_the_glass_of_a_slide_is_its_commonest_bright_colour() -> None:
    assert glass_colour(thumbnail(glass=200)) == pytest.approx((200, 200, 200), abs=2)
