from pathlib import Path

import cv2
import numpy as np
import pytest
from nuclei_fields import CutSource, draw, grid_points, read_rgb

from immunopath.models.embedded.cautions import mpp_plausible
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.nuclei import CaseNuclei, detect_nuclei
from immunopath.models.embedded.scale import Energy, coarse_to_fine
from immunopath.models.protocols import RGB

KNOWN_MPP = {"histolab_tcga-lung-rgb.png": 0.25}


def _shipped_fields(root: Path) -> list[tuple[RGB, float]]:
    """Return every H&E image of the test set with its resolution (SOURCES.md)."""
    paths = [p for d in ("lung_he_til", "he_other", "nucls_til") for p in (root / d).rglob("*.*")]
    return [
        (read_rgb(p), 0.2 if "nucls_til" in p.parts else KNOWN_MPP.get(p.name, 0.5))
        for p in sorted(paths)
        if p.suffix in {".png", ".jpg", ".tif"}
    ]


def _detect(rgb: RGB, mpp: float, cut: tuple[int, int] = (1, 1)) -> CaseNuclei:
    return detect_nuclei(CutSource([rgb], mpp=mpp, cut=cut), shipped())


def test_no_field_at_its_resolution_is_flagged_and_half_are_at_twice_it(
    shared_images: Path,
) -> None:
    fields = _shipped_fields(shared_images)
    right = [_detect(rgb, mpp) for rgb, mpp in fields]
    # Nuclear area alone speaks against three of them; see docs/evidence.md.
    judged = [c.coarse_to_fine for c in right if mpp_plausible(c) is not None]
    assert len(judged) >= 30
    assert max(r for r in judged if r is not None) <= 1.15
    wrong = [mpp_plausible(_detect(rgb, 2 * mpp)) for rgb, mpp in fields]
    assert wrong.count(False) >= 0.5 * len(fields)


def test_a_field_of_a_quarter_micrometre_read_at_a_half_is_noticed(shared_images: Path) -> None:
    rgb = read_rgb(shared_images / "he_other/histolab_tcga-lung-rgb.png")
    assert mpp_plausible(_detect(rgb, 0.25)) is True
    assert mpp_plausible(_detect(rgb, 0.5)) is False


def test_coarse_pixels_at_their_own_resolution_are_no_error(shared_images: Path) -> None:
    rgb = read_rgb(shared_images / "lung_he_til/u24_necrosis/image_50.png")
    half = np.asarray(cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    fine, coarse = (_detect(image, mpp).coarse_to_fine for image, mpp in ((rgb, 0.5), (half, 1.0)))
    assert coarse == pytest.approx(fine, rel=0.05)


def test_the_ratio_is_that_of_the_image_however_it_is_cut() -> None:
    rgb = draw(200, 200, 0.5, grid_points(200, 200, 13))
    whole, tiled = (_detect(rgb, 0.5, cut).coarse_to_fine for cut in ((1, 1), (3, 3)))
    assert tiled == pytest.approx(whole, rel=0.05)


def test_larger_blobs_raise_the_ratio_and_a_flat_field_has_none() -> None:
    points = grid_points(200, 200, 16)
    small, large = (
        _detect(draw(200, 200, 0.5, points, radius_um=r), 0.5).coarse_to_fine for r in (2.0, 4.5)
    )
    assert small is not None
    assert large is not None
    assert large > 1.5 * small
    assert _detect(np.full((200, 200, 3), 244, np.uint8), 0.5).coarse_to_fine is None
    assert coarse_to_fine([]) is None
    assert coarse_to_fine([Energy(9, 1.0, 4.0), Energy(9, 3.0, 5.0)]) == 1.5
