from dataclasses import replace

import numpy as np
import pytest

from immunopath.models.embedded.cautions import crowded_windows, mpp_plausible, warnings_of
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.nuclei import CaseNuclei
from immunopath.models.embedded.scale import Energy
from immunopath.models.embedded.shares import Share


def _case(n: int, area: float = 20.0, pitch: float = 12.0) -> CaseNuclei:
    side = int(np.ceil(np.sqrt(n))) if n else 0
    xy = np.array([(i % side * pitch, i // side * pitch) for i in range(n)], np.float32)
    x, y = xy.reshape(n, 2).T
    flat = np.ones(n, np.float32)
    nuclei = Nuclei(x, y, flat * area, flat, flat, flat > 0)
    zero = np.zeros(n, np.int64)
    return CaseNuclei(nuclei, zero, zero, (), (), 1.0, 0, n)


def _share(value: float) -> Share:
    return Share(value, value, (value, value), np.full(10, value))


def test_an_ordinary_field_has_no_warning() -> None:
    assert warnings_of(_case(200), _share(0.3), 0.5) == ()


@pytest.mark.parametrize(("area", "fits"), [(10.9, False), (11.1, True), (31, True), (33, False)])
def test_the_nuclear_size_speaks_for_or_against_the_resolution(area: float, fits: bool) -> None:
    assert mpp_plausible(_case(40, area)) is fits
    # The adjudicator says it, once: a warning of the engine would be the same finding again.
    assert warnings_of(_case(200, area), None, 0.5) == ()


@pytest.mark.parametrize(("ratio", "fits"), [(None, True), (1.149, True), (1.16, False)])
def test_structure_speaks_for_or_against_the_resolution(ratio: float | None, fits: bool) -> None:
    seen = () if ratio is None else (Energy(1, 1.0, ratio**2),)
    assert mpp_plausible(replace(_case(40), energies=seen)) is fits
    assert mpp_plausible(replace(_case(29), energies=seen)) is None


def test_too_few_nuclei_say_nothing_about_the_resolution() -> None:
    assert mpp_plausible(_case(29, 100.0)) is None
    assert mpp_plausible(_case(0)) is None


@pytest.mark.parametrize(("pigment", "warned"), [(2, False), (20, True)])
def test_pigment_is_named_when_it_is_common(pigment: int, warned: bool) -> None:
    case = replace(_case(200), n_pigment=pigment)
    assert any("pigment" in w for w in warnings_of(case, None, 0.5)) is warned


def _cluster(pitch: float, n: int = 64, at: float = 300.0) -> Nuclei:
    """Return a square of lymphocytes, all inside one window of 50 µm."""
    nuclei = _case(n, pitch=pitch).nuclei
    return replace(nuclei, x_um=nuclei.x_um + at, y_um=nuclei.y_um + at)


def _other(n: int, pitch: float) -> Nuclei:
    nuclei = _case(n, pitch=pitch).nuclei
    return replace(nuclei, is_lymphocyte=np.zeros(n, np.bool_))


def _of(nuclei: Nuclei) -> CaseNuclei:
    zero = np.zeros(len(nuclei), np.int64)
    return replace(_case(0), nuclei=nuclei, image_index=zero, tile_index=zero)


@pytest.mark.parametrize(("pitch", "warned"), [(3.5, True), (4.5, False), (9.0, False)])
def test_a_cluster_of_touching_nuclei_is_named_though_the_field_is_sparse(
    pitch: float, warned: bool
) -> None:
    case = _of(Nuclei.join([_other(400, 12.0), _cluster(pitch)]))
    found = warnings_of(case, _share(0.1), 0.5)
    assert any("necrosis" in w and "epithelium" in w for w in found) is warned


def test_touching_nuclei_that_are_no_lymphocytes_are_no_debris() -> None:
    cluster = _cluster(3.5)
    case = _of(replace(cluster, is_lymphocyte=np.zeros(len(cluster), np.bool_)))
    assert crowded_windows(case) == (0, 1)


def test_one_crowded_window_in_twenty_is_not_named() -> None:
    loose = [_cluster(6.0, at=600.0 + 50 * k) for k in range(20)]
    case = _of(Nuclei.join([_cluster(3.5), *loose]))
    assert crowded_windows(case)[0] == 1
    assert not any("touch" in w for w in warnings_of(case, _share(0.9), 0.5))


def test_a_window_needs_thirty_nuclei() -> None:
    assert crowded_windows(_of(_cluster(3.5, n=29))) == (0, 0)
    assert crowded_windows(_of(_cluster(3.5, n=30))) == (1, 1)
    assert crowded_windows(_case(0)) == (0, 0)


def test_coarse_pixels_and_small_samples_are_named() -> None:
    found = warnings_of(_case(50), _share(0.2), 1.0)
    assert any("1.00 µm" in w for w in found)
    assert any("Only 50 nuclei" in w for w in found)


def test_windows_are_per_image() -> None:
    half = _cluster(3.5, n=25)
    case = _of(Nuclei.join([half, half]))
    assert crowded_windows(case) == (1, 1)
    assert crowded_windows(replace(case, image_index=np.repeat([0, 1], 25))) == (0, 0)
