"""A dense pass within a case: asked for, bounded, told of, and without any say in the report."""

import json
from pathlib import Path
from typing import Any

import pytest
from dense_slides import hot_slide

from immunopath.domain.case import Case
from immunopath.domain.errors import HeatTooLarge, OutputError, ResolutionError
from immunopath.domain.report import CaseReport, CaseStatus
from immunopath.models.embedded.dense import Progress
from immunopath.pipeline.heat import STEPS, _steps, plan_heat, run_heat
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.pipeline.side_files import SideFiles

ASKED = Settings(heat=True, embedder="none")


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hot_slide(tmp_path_factory.mktemp("heat") / "hot.ome.tif")


def case(path: Path, mpp: float | None = None) -> Case:
    return Case(case_id="H", images=(path,), mpp=mpp)


def plain(report: CaseReport) -> dict[str, Any]:
    values = report.model_dump(mode="json")
    values.pop("heat", None)
    values["provenance"].pop("configuration_digest")
    return values


def test_a_case_with_heat_differs_in_nothing_else(slide: Path, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    target = tmp_path / "h.geojson"
    with ImmunoPath(settings=ASKED) as engines:
        report = engines.analyze(
            case(slide), on_event=events.append, files=SideFiles(heat=target), as_of=None
        )
    with ImmunoPath(settings=Settings(embedder="none")) as engines:
        without = engines.analyze(case(slide))
    assert without.heat is None
    assert '"heat"' not in without.to_json()
    assert plain(report) == plain(without)
    assert report.heat is not None
    assert report.heat.slides[0].measured == 23
    assert CaseReport.model_validate_json(report.to_json()).heat == report.heat
    assert len(json.loads(target.read_text())["features"]) == 24
    own = [event for event in events if event["agent"] == "heat"]
    assert [event["event"] for event in own] == ["started", *["progress"] * 5, "finished"]
    assert own[-2]["done"] == own[-2]["total"] == 24
    assert own[-2]["read_s"] > 0
    assert own[-2]["work_s"] > own[-2]["read_s"] / 1000
    assert own[-1]["status"] == "ok"
    page = report.to_html()
    assert "Whole-slide heat" in page
    assert page.count('<figure class="heat-map">') == 2
    assert 'aria-label="Heat map: hot.ome.tif: lymphocyte-like nuclei' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    read = type(report).model_validate_json(report.to_json())
    assert "images are not part of it" in read.to_html().split('id="heat"')[1]


def test_too_many_tiles_are_refused_before_any_work(slide: Path) -> None:
    events: list[dict[str, Any]] = []
    settings = ASKED.model_copy(update={"heat_tiles": 23})
    with (
        ImmunoPath(settings=settings) as engines,
        pytest.raises(HeatTooLarge, match=r"hot.ome.tif: 24 tiles .* the 23 .* --heat-tiles"),
    ):
        engines.analyze(case(slide), on_event=events.append)
    assert events == []
    assert plan_heat(case(slide), settings.model_copy(update={"heat_tiles": 24}))


def test_nothing_is_planned_unless_asked(slide: Path, shared_images: Path) -> None:
    assert plan_heat(case(slide), Settings()) == ()
    assert run_heat((), 0, None) is None
    with pytest.raises(ResolutionError, match="states no resolution"):
        plan_heat(case(shared_images / "he_other/stardist_histo.jpg"), ASKED)


def test_a_refused_image_has_no_heat_and_no_file_pretends(
    shared_images: Path, tmp_path: Path
) -> None:
    cat = shared_images / "negatives/skimage_chelsea.png"
    with ImmunoPath(settings=ASKED) as engines:
        report = engines.analyze(case(cat, 0.5))
        assert report.status is CaseStatus.refused
        assert report.heat is None
        with pytest.raises(OutputError, match="the image was refused"):
            engines.analyze(case(cat, 0.5), files=SideFiles(heat=tmp_path / "h.geojson"))
    assert list(tmp_path.iterdir()) == []


def test_a_slide_that_breaks_off_is_a_note(slide: Path, tmp_path: Path) -> None:
    copy = tmp_path / "c.ome.tif"
    copy.hardlink_to(slide)
    plans = plan_heat(Case(case_id="H", images=(copy,)), ASKED)
    copy.unlink()
    events: list[dict[str, Any]] = []
    found = run_heat(plans, 0, events.append)
    assert found is not None
    assert found.slides == found.report.slides == ()
    assert "c.ome.tif: no heat" in found.report.notes[0]
    assert events[-1]["status"] == "failed"


def test_progress_is_told_a_bounded_number_of_times() -> None:
    told: list[dict[str, Any]] = []
    watch = _steps(told.append)
    for done in range(1, 5001):
        watch(Progress("s", done, 5000, 1.0, 2.0))
    assert len(told) == STEPS + 1
    assert told[-1]["done"] == 5000
