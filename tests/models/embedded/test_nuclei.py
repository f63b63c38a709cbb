from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nuclei_fields import CutSource, draw, grid_points, read_rgb

from immunopath.domain.errors import ResolutionError
from immunopath.imaging.tiles import TileStore
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.density import WORK_MPP, Workspace
from immunopath.models.embedded.looks import HALO_UM, Look, Ready, look_at_stain, make_ready
from immunopath.models.embedded.nuclei import CaseNuclei, _first_of_twins, detect_nuclei
from immunopath.models.embedded.tissue import case_tissue_um2


def _detect(source: CutSource) -> CaseNuclei:
    return detect_nuclei(source, shipped())


def _sorted(case: CaseNuclei) -> np.ndarray:
    table = np.stack([np.asarray(c, float) for c in case.nuclei.columns()], 1)
    return table[np.lexsort((table[:, 0], table[:, 1]))]


def test_all_nuclei_of_a_known_field_are_found_in_micrometres() -> None:
    points = grid_points(200, 160, 13)
    case = _detect(CutSource([draw(200, 160, 0.5, points)]))
    seen = np.stack([case.nuclei.x_um, case.nuclei.y_um], 1)
    distance = np.hypot(*(seen[:, None] - points[None]).transpose(2, 0, 1))
    assert len(case.nuclei) == len(points)
    assert distance.min(axis=0).max() < 1.0


@pytest.mark.parametrize("mpp", [0.25, 0.35, 1.0])
def test_the_same_field_at_another_resolution_has_the_same_nuclei(mpp: float) -> None:
    points = grid_points(200, 160, 13)
    at_half = _detect(CutSource([draw(200, 160, 0.5, points)]))
    other = _detect(CutSource([draw(200, 160, mpp, points)], mpp=mpp))
    assert abs(len(other.nuclei) - len(at_half.nuclei)) <= 0.02 * len(points)
    seen = np.stack([other.nuclei.x_um, other.nuclei.y_um], 1)
    distance = np.hypot(*(seen[:, None] - points[None]).transpose(2, 0, 1))
    assert np.percentile(distance.min(axis=0), 95) < 1.2
    assert np.median(other.nuclei.area_um2) == pytest.approx(
        np.median(at_half.nuclei.area_um2), rel=0.15
    )


@pytest.mark.parametrize("cut", [(2, 2), (3, 2), (1, 4)])
def test_cutting_an_image_into_tiles_loses_and_doubles_nothing(
    shared_images: Path, cut: tuple[int, int]
) -> None:
    rgb = read_rgb(shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif")[400:912, 300:812]
    whole = _detect(CutSource([rgb]))
    tiled = _detect(CutSource([rgb], cut=cut))
    # White point and gain come from the same pixels, cut or not.
    assert tiled.gain == pytest.approx(whole.gain, rel=2e-3)
    assert abs(len(tiled.nuclei) - len(whole.nuclei)) <= 2
    assert tiled.nuclei.is_lymphocyte.sum() == pytest.approx(
        whole.nuclei.is_lymphocyte.sum(), abs=3
    )
    a, b = _sorted(whole)[:, :2], _sorted(tiled)[:, :2]
    distance = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1)).min(axis=1)
    assert (distance < 0.3).mean() > 0.995


def test_with_one_stain_every_nucleus_is_the_same_in_tiles(
    shared_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = read_rgb(shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif")[400:912, 300:812]
    stain = look_at_stain(CutSource([rgb]), Workspace())
    monkeypatch.setattr(
        "immunopath.models.embedded.nuclei.look_at_stain", lambda source, work: stain
    )
    whole, tiled = (
        _sorted(_detect(CutSource([rgb]))),
        _sorted(_detect(CutSource([rgb], cut=(2, 2)))),
    )
    assert whole.shape == tiled.shape
    np.testing.assert_array_equal(whole[:, 5], tiled[:, 5])
    np.testing.assert_allclose(whole, tiled, atol=1e-3)


def test_tiles_off_the_working_grid_hold_no_nucleus_twice() -> None:
    points = grid_points(180, 180, 12)
    rgb = draw(180, 180, 0.37, points)
    whole = _detect(CutSource([rgb], mpp=0.37))
    tiled = _detect(CutSource([rgb], mpp=0.37, cut=(3, 3)))
    assert abs(len(tiled.nuclei) - len(whole.nuclei)) <= 1


def test_twins_are_dropped_only_across_tiles_of_one_image() -> None:
    case = _detect(CutSource([draw(60, 60, 0.5, np.array([[30.0, 30.0]]))]))
    twin = case.nuclei.join([case.nuclei] * 3)
    images = np.array([0, 0, 1])
    keep = _first_of_twins(twin, images, np.array([0, 1, 2]))
    assert keep.tolist() == [True, False, True]
    assert _first_of_twins(twin, images * 0, np.zeros(3, np.int64)).all()


def test_no_tiles_have_no_nuclei() -> None:
    case = _detect(CutSource([]))
    assert (len(case.nuclei), len(case.boxes), case.gain) == (0, 0, 1.0)


def test_white_point_is_each_images_own_and_gain_the_cases() -> None:
    points = grid_points(100, 100, 14)
    bright = draw(100, 100, 0.5, points)
    dim = (bright * 0.93).astype(np.uint8)
    both = look_at_stain(CutSource([bright, dim]), Workspace())
    alone = [look_at_stain(CutSource([i]), Workspace()) for i in (bright, dim)]
    assert both.white[1].tolist() == alone[1].white[0].tolist()
    assert both.white[0].tolist() == alone[0].white[0].tolist()
    low, high = sorted(s.gain for s in alone)
    assert low <= both.gain <= high


def test_tissue_area_is_that_of_the_pixels_and_not_doubled_by_halos() -> None:
    rgb = draw(200, 200, 0.5, grid_points(200, 200, 13))
    rgb[:, 200:] = 244
    cases = [_detect(CutSource([rgb], cut=c)) for c in ((1, 1), (3, 3))]
    whole, tiled = (case_tissue_um2(case.tissue) for case in cases)
    assert whole == pytest.approx(200 * 100, rel=0.02)
    assert tiled == pytest.approx(whole, rel=0.01)


def test_the_halo_is_wider_than_every_stage_reaches() -> None:
    # The 8 µm blur is cut at three sigma, on a map of 2 µm pitch read between two points.
    assert HALO_UM >= 3 * 8.0 + 4 * WORK_MPP * 2


def test_it_reads_the_tile_store_of_the_package(shared_images: Path) -> None:
    from types import SimpleNamespace

    make: Callable[..., object] = SimpleNamespace
    rgb = read_rgb(shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif")[:700, :700]
    store = TileStore()
    store.add_image(make(pixels=np.ascontiguousarray(rgb), sha256="0" * 64), 0.5)  # type: ignore[arg-type]
    by_store, by_test = detect_nuclei(store, shipped()), _detect(CutSource([rgb]))
    assert abs(len(by_store.nuclei) - len(by_test.nuclei)) <= 0.01 * len(by_test.nuclei)
    with pytest.raises(ResolutionError):
        store.pixels(store.tiles[0].tile_id, 0.0)


def test_a_case_of_one_tile_is_made_ready_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(look: Look, white: np.ndarray, work: Workspace) -> Ready:
        made.append(look.tile_id)
        return make_ready(look, white, work)

    for module in ("looks", "nuclei"):
        monkeypatch.setattr(f"immunopath.models.embedded.{module}.make_ready", counted)
    rgb = draw(120, 120, 0.5, grid_points(120, 120, 14))
    _detect(CutSource([rgb]))
    assert len(made) == 1
    made.clear()
    _detect(CutSource([rgb], cut=(2, 1)))
    assert len(made) == 3


def test_buffers_of_an_earlier_case_do_not_change_an_answer() -> None:
    rgb = draw(120, 120, 0.5, grid_points(120, 120, 14))
    other = draw(160, 100, 0.5, grid_points(160, 100, 10))
    work = Workspace()
    detect_nuclei(CutSource([other], cut=(2, 1)), shipped(), work)
    again = detect_nuclei(CutSource([rgb]), shipped(), work)
    np.testing.assert_array_equal(_sorted(again), _sorted(_detect(CutSource([rgb]))))
