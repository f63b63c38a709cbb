from dataclasses import replace

import numpy as np
import pytest

from immunopath.models.embedded.cautions import mpp_plausible, neighbour_distance, warnings_of
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.nuclei import CaseNuclei
from immunopath.models.embedded.shares import Share


def _case(n: int, area: float = 20.0, pitch: float = 12.0) -> CaseNuclei:
    side = int(np.ceil(np.sqrt(n))) if n else 0
    xy = np.array([(i % side * pitch, i // side * pitch) for i in range(n)], np.float32)
    x, y = xy.reshape(n, 2).T
    flat = np.ones(n, np.float32)
    nuclei = Nuclei(x, y, flat * area, flat, flat, flat > 0)
    zero = np.zeros(n, np.int64)
    return CaseNuclei(nuclei, zero, zero, (), np.zeros(0, np.float32), 1.0, 0, n)


def _share(value: float) -> Share:
    return Share(value, value, (value, value), np.full(10, value))


def test_an_ordinary_field_has_no_warning() -> None:
    assert warnings_of(_case(200), _share(0.3), 0.5) == ()


@pytest.mark.parametrize(("area", "fits"), [(10.9, False), (11.1, True), (31, True), (33, False)])
def test_the_nuclear_size_speaks_for_or_against_the_resolution(area: float, fits: bool) -> None:
    assert mpp_plausible(_case(40, area)) is fits
    assert bool(warnings_of(_case(200, area), None, 0.5)) is not fits


def test_too_few_nuclei_say_nothing_about_the_resolution() -> None:
    assert mpp_plausible(_case(29, 100.0)) is None
    assert mpp_plausible(_case(0)) is None


@pytest.mark.parametrize(("pigment", "warned"), [(2, False), (20, True)])
def test_pigment_is_named_when_it_is_common(pigment: int, warned: bool) -> None:
    case = replace(_case(200), n_pigment=pigment)
    assert any("pigment" in w for w in warnings_of(case, None, 0.5)) is warned


@pytest.mark.parametrize(
    ("pitch", "share", "warned"), [(5.0, 0.6, True), (5.0, 0.2, False), (9.0, 0.6, False)]
)
def test_crowded_dense_fields_may_be_necrosis_or_epithelium(
    pitch: float, share: float, warned: bool
) -> None:
    found = warnings_of(_case(200, pitch=pitch), _share(share), 0.5)
    assert any("necrosis" in w and "epithelium" in w for w in found) is warned


def test_coarse_pixels_and_small_samples_are_named() -> None:
    found = warnings_of(_case(50), _share(0.2), 1.0)
    assert any("1.00 µm" in w for w in found)
    assert any("Only 50 nuclei" in w for w in found)


def test_neighbour_distance_is_per_image() -> None:
    case = _case(100, pitch=10.0)
    twice = replace(
        case,
        nuclei=Nuclei.join([case.nuclei] * 2),
        image_index=np.repeat([0, 1], 100),
        tile_index=np.repeat([0, 1], 100),
    )
    assert neighbour_distance(twice) == pytest.approx(10)
