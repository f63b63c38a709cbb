"""The map of a slide shows where the regions of the case lie and what they hold."""

from pathlib import Path

import cv2
import numpy as np
import samples
from slide_files import OVERVIEW
from test_opening import finer_dicom

from immunopath.agents.context import Workspace
from immunopath.domain.case import Case
from immunopath.domain.report import CaseReport
from immunopath.domain.sampling import (
    SamplingBudget,
    SamplingReport,
    SamplingRound,
    SlideSampling,
    Stratum,
)
from immunopath.domain.units import MppSource, Resolution
from immunopath.imaging.tiles import SlidePicture, TileStore
from immunopath.models.protocols import NucleiTable
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.slide_map import slide_maps

REGIONS = ((2000, 1000, 2000, 2000), (8000, 5000, 2000, 2000))
BOX = (1000, 500, 10_000, 8_000)


def nuclei(shares: tuple[float, ...]) -> NucleiTable:
    """Return 100 nuclei in each image, a share of them lymphocytes."""
    count = 100 * len(shares)
    number = np.ones(count, np.float32)
    calls = np.concatenate([np.arange(100) < 100 * share for share in shares])
    index = np.repeat(np.arange(len(shares)), 100).astype(np.int32)
    return NucleiTable(number, number, index, number, number, calls, np.zeros(count, np.bool_))


def workspace(table: NucleiTable | None, grey: int = 240) -> Workspace:
    store = TileStore()
    thumbnail = np.full((400, 500, 3), grey, np.uint8)
    store.slides["ab" * 32] = SlidePicture(
        path=Path("S.svs"),
        name="S.svs",
        sha256="ab" * 32,
        reader="openslide:aperio",
        pixels=thumbnail,
        box=BOX,
        resolution=Resolution(mpp=0.25, source=MppSource.vendor),
        frame=(),
        notes=(),
    )
    return Workspace(store=store, nuclei=table)


def report(regions: tuple[tuple[int, int, int, int] | None, ...] = REGIONS) -> CaseReport:
    images = tuple(
        samples.image().model_copy(update={"sha256": "ab" * 32, "region": region})
        for region in regions
    )
    return samples.full().model_copy(update={"images": images})


def test_regions_are_drawn_where_they_lie() -> None:
    (found,) = slide_maps(report(), workspace(nuclei((0.0, 0.5))), 1100)
    assert found.name == "S.svs: the regions that were read"
    assert (found.width, found.height) == (800, 640)
    assert found.um_per_px == 0.25 * 10_000 / 800
    picture = cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    violet, yellow = picture[120, 80].astype(int), picture[440, 560].astype(int)
    assert violet[2] > violet[1] + 30
    assert yellow[0] > yellow[2] + 100
    assert (picture[300, 300] > 230).all()
    assert "1: 0%, 2: 50%." in found.caption


def test_the_number_of_a_region_is_read_on_dark_tissue_too() -> None:
    (found,) = slide_maps(report(), workspace(nuclei((0.0, 0.5)), grey=60), 1100)
    picture = cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    number = picture[42:70, 82:110]  # inside the frame of the first region, at its corner
    assert (number > 220).sum() > 1.2 * (number < 40).sum() > 0


def test_without_nuclei_the_map_says_so() -> None:
    (found,) = slide_maps(report(), workspace(None), 1100)
    assert found.caption.endswith("no nuclei were counted.")


def test_regions_of_further_rounds_are_told_apart() -> None:
    strata = (Stratum(image=0, places=1), Stratum(image=1, places=1))
    slide = SlideSampling(
        name="S.svs", sha256="ab" * 32, candidates=2, side_um=512, strata=strata, first=strata[:1]
    )
    block = SamplingReport(
        rounds=(
            SamplingRound(images=(0,), because="spread"),
            SamplingRound(images=(1,), because="wide"),
        ),
        slides=(slide,),
        budget=SamplingBudget(),
        stop="settled",
        stop_reason="-",
    )
    sampled = report().model_copy(update={"sampling": block})
    (found,) = slide_maps(sampled, workspace(nuclei((0.0, 0.5))), 1100)
    assert found.caption.endswith(" From 2 on read in further rounds.")


def test_an_ordinary_image_has_no_map() -> None:
    assert slide_maps(report((None, None)), workspace(nuclei((0.1, 0.1))), 1100) == ()
    assert slide_maps(report(), Workspace(store=TileStore()), 1100) == ()


def test_a_slide_goes_the_whole_way(tmp_path: Path) -> None:
    """The overview with a wrong scale: what is in it does not matter here, its way does."""
    path = finer_dicom(tmp_path / "a.dcm")
    assert path.stat().st_size == OVERVIEW.stat().st_size
    made = ImmunoPath().analyze(Case(case_id="S", images=(path,)))
    assert made.images[0].region is not None
    assert made.images[0].format == "openslide:dicom"
    page = tmp_path / "a.html"
    made.to_html(page)
    assert "a.dcm: the regions that were read" in page.read_text()
