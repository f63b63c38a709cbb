"""A dense pass over slides that are read from files: what is where, and that nothing changes it."""

from pathlib import Path

import numpy as np
import pytest
from dense_slides import BLURRED, HOT, TILE, drawn, hot_slide, in_hot, made
from slide_files import CMU, GLASS, write_pyramid

from immunopath.domain.errors import HeatTooLarge, ImageReadError, ResolutionError
from immunopath.imaging.decode import decode_image
from immunopath.imaging.slides.reading import Readers
from immunopath.imaging.tiles import TileStore
from immunopath.models.embedded import dense_plan
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.dense import Progress, run_dense
from immunopath.models.embedded.dense_plan import plan_dense
from immunopath.models.embedded.dense_stain import look_at_slide
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.models.embedded.density import Workspace
from immunopath.models.embedded.looks import Stain, box_of
from immunopath.models.embedded.nuclei import nuclei_of


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hot_slide(tmp_path_factory.mktemp("dense") / "hot.ome.tif")


@pytest.fixture(scope="module")
def found(path: Path) -> DenseSlide:
    return run_dense(plan_dense(path, None))


def test_the_maximum_lies_where_the_slide_is_hot(found: DenseSlide) -> None:
    x, y, width, height = found.summary.densest or (0, 0, 0, 0)
    assert HOT[0] * TILE <= x
    assert x + width <= HOT[2] * TILE
    assert HOT[1] * TILE <= y
    assert y + height <= HOT[3] * TILE
    hot, cold = (
        [t.per_mm2 or 0.0 for t in found.tiles if not t.reason and in_hot(t.place) is side]
        for side in (True, False)
    )
    assert len(hot) == 4
    assert min(hot) > 1.5 * max(cold)
    assert found.summary.densest_per_mm2 == max(hot)


def test_every_place_is_measured_once_or_says_why_not(found: DenseSlide) -> None:
    said = found.summary
    assert said.grid == 48
    assert said.measured == 23
    assert said.rejected == {"blur": 1, "glass": 24}
    (blurred,) = [t for t in found.tiles if t.reason == "blur"]
    assert (blurred.place.column, blurred.place.row) == BLURRED
    assert (blurred.n_nuclei, blurred.tissue_mm2, blurred.per_mm2) == (0, 0.0, None)
    places = [(t.place.column, t.place.row) for t in found.tiles]
    assert len(set(places)) == len(places) == 24
    assert said.n_nuclei == sum(t.n_nuclei for t in found.tiles)
    assert said.tissue_mm2 == pytest.approx(23 * 0.0625, rel=0.02)
    assert said.lymphocytes_per_mm2 == pytest.approx(said.n_lymphocytes / said.tissue_mm2)
    assert said.source.engine == "embedded-predictor"
    assert said.source.weights_digest == shipped().digest
    assert said.gain == look_at_slide(found.plan)[1]


def test_borders_of_tiles_and_cells_neither_lose_nor_double_nuclei(
    path: Path, found: DenseSlide
) -> None:
    """The same stain over the image as a whole: its nuclei, counted by where they lie."""
    white, gain = look_at_slide(found.plan)
    store = TileStore()
    store.add_image(decode_image(path), 0.5)
    boxes = tuple(box_of(t) for t in store.all_tiles)
    whole = nuclei_of(store, boxes, Stain({0: white}, gain), shipped(), Workspace()).nuclei
    column, row = (np.floor(v / 250).astype(int) for v in (whole.x_um, whole.y_um))
    measured = [t for t in found.tiles if not t.reason]
    for tile in measured:
        here = (column == tile.place.column) & (row == tile.place.row)
        assert abs(int(here.sum()) - tile.n_nuclei) <= max(3, 0.01 * tile.n_nuclei)
    inside = {(t.place.column, t.place.row) for t in measured}
    everywhere = sum((c, r) in inside for c, r in zip(column, row, strict=True))
    assert abs(everywhere - found.summary.n_nuclei) <= 0.002 * everywhere


def test_processes_and_clocks_change_nothing(path: Path, found: DenseSlide) -> None:
    ticks = iter(range(1_000_000))
    timed: list[Progress] = []
    plan = plan_dense(path, None)
    assert run_dense(plan, None, timed.append, lambda: float(next(ticks))).summary == found.summary
    assert [(p.done, p.total) for p in timed] == [(9, 24), (18, 24), (21, 24), (24, 24)]
    assert timed[-1].read_s > 0
    assert timed[-1].work_s > 0
    with Readers(2) as readers:
        there = run_dense(plan, readers)
    assert there.summary == found.summary
    assert there.tiles == found.tiles
    assert there.windows == found.windows


def test_another_resolution_of_the_file_gives_nearly_the_same(
    tmp_path: Path, found: DenseSlide
) -> None:
    part = drawn()[TILE : 3 * TILE, 3 * TILE : 7 * TILE]
    fine = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    one, two = (
        run_dense(plan_dense(write_pyramid(tmp_path / name, rgb, mpp=mpp), None)).summary
        for name, rgb, mpp in (("a.ome.tif", part, 0.5), ("b.ome.tif", fine, 0.25))
    )
    assert one.measured == two.measured == 8
    assert two.n_nuclei == pytest.approx(one.n_nuclei, rel=0.02)
    assert two.raw_share == pytest.approx(one.raw_share, abs=0.02)
    assert two.densest is not None
    assert one.densest is not None
    assert two.densest == tuple(2 * n for n in one.densest)


def test_a_real_region_agrees_with_the_predictor_on_the_same_image() -> None:
    said = run_dense(plan_dense(CMU, None)).summary
    assert (said.grid, said.measured) == (20, 11)
    assert said.raw_share == pytest.approx(0.30, abs=0.03)  # the predictor: 0.31 over all of it
    assert said.mpp_plausible is True
    assert said.cells.judged == 1
    assert said.cells.without == {"little_tissue": 1}
    assert said.windows.judged == 5


@pytest.mark.parametrize(("area_um2", "fits"), [(20.0, True), (5.0, False), (40.0, False)])
def test_nuclei_that_speak_against_the_resolution_withhold_every_phenotype(
    area_um2: float, fits: bool
) -> None:
    slide = made(area_um2=area_um2)
    said = slide.summary
    assert said.mpp_plausible is fits
    assert said.windows.phenotypes["excluded"] == fits
    assert ("implausible_scale" in said.windows.without) is not fits
    assert {call.phenotype for call in slide.windows} == ({"excluded", None} if fits else {None})


def test_a_slide_of_glass_has_no_numbers(tmp_path: Path) -> None:
    glass = np.full((1200, 1200, 3), GLASS, np.uint8)
    said = run_dense(plan_dense(write_pyramid(tmp_path / "g.ome.tif", glass), None)).summary
    assert (said.measured, said.rejected) == (0, {"glass": 4})
    assert said.lymphocytes_per_mm2 is None
    assert said.raw_share is said.corrected_share is said.densest is None
    assert said.cells.shares == {}


def test_a_plan_refuses_what_cannot_be_a_slide(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = write_pyramid(tmp_path / "u.ome.tif", drawn()[:600, :600], mpp=None)
    with pytest.raises(ResolutionError, match="states no resolution"):
        plan_dense(unknown, None)
    assert plan_dense(unknown, 0.5).resolution.mpp == 0.5
    monkeypatch.setattr(dense_plan, "MOST_PLACES", 10)
    with pytest.raises(HeatTooLarge, match="no slide is that large"):
        plan_dense(path, None)


def test_a_slide_that_goes_away_is_a_named_error(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "c.ome.tif"
    copy.hardlink_to(path)
    plan = plan_dense(copy, None)
    copy.unlink()
    with pytest.raises(ImageReadError, match=r"c\.ome\.tif"):
        run_dense(plan)
    with Readers(1) as readers, pytest.raises(ImageReadError, match="no such file"):
        run_dense(plan, readers)
