"""Regions that a person picked go through the one graph, and the report says so everywhere."""

import json
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

import immunopath
from immunopath.domain.case import Case
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.report import CaseStatus
from immunopath.imaging.decode import decode_image
from immunopath.pipeline.cohort.store import case_key
from immunopath.pipeline.run import ImmunoPath
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 28)
BOX = (960, 1500, 512, 512)


@pytest.fixture(scope="module")
def slide(shared_images: Path) -> Path:
    return shared_images.parent / "slides/CMU-1-Small-Region.svs"


@pytest.fixture(scope="module")
def report(slide: Path) -> RenderedReport:
    return immunopath.analyze(slide, regions=[BOX], as_of=AS_OF)


def test_the_report_says_who_picked_what(report: RenderedReport) -> None:
    (image,) = report.images
    assert (image.region, image.picked, image.mpp, image.mpp_source) == (BOX, True, 0.499, "vendor")
    (finding,) = (f for f in report.findings if f.code == "REGIONS_PICKED")
    assert "no estimate of the slide" in finding.message
    assert finding.fields == tuple(FIELD_VALUES)
    assert any("picked by hand" in limit for limit in report.limitations)
    for text in (report.to_html(), report.to_markdown(), report.to_fhir(), report.to_json()):
        assert "picked by hand" in text


def test_nothing_is_said_of_the_slide(report: RenderedReport) -> None:
    assert report.sampling is None
    assert "sampling" not in json.loads(report.to_json())
    assert "spread over its tissue by a fixed rule and not" not in report.to_markdown()
    assert {field.scope for _, field in report.profile.items()} == {"field"}
    assert "CMU-1-Small-Region.svs: the regions that were picked" in report.to_html()


def test_a_region_is_the_same_as_its_pixels_in_a_file_of_their_own(
    report: RenderedReport, slide: Path, tmp_path: Path
) -> None:
    x, y, width, height = BOX
    crop = tmp_path / "crop.png"
    Image.fromarray(decode_image(slide).pixels[y : y + height, x : x + width]).save(crop)
    alone = immunopath.analyze(crop, mpp=0.499, as_of=AS_OF)
    assert alone.images[0].pixels_sha256 == report.images[0].pixels_sha256
    assert alone.profile.til_fraction.value == report.profile.til_fraction.value
    assert alone.morphometry == report.morphometry


def test_another_region_is_another_input(report: RenderedReport, slide: Path) -> None:
    other = immunopath.analyze(slide, regions=[(960, 1000, 512, 512)], as_of=AS_OF)
    assert other.provenance.input_digest != report.provenance.input_digest
    whole, part = (Case(case_id="a", images=slide, regions=boxes) for boxes in ((), (BOX,)))
    keys = {case_key(case, "c", "2026-11-28", html=True) for case in (whole, part)}
    assert len(keys) == 2


def test_only_glass_is_refused(slide: Path) -> None:
    found = immunopath.analyze(slide, regions=[(0, 0, 512, 512)], as_of=AS_OF)
    assert found.status is CaseStatus.refused
    assert "mostly blank glass" in found.status_reason


def test_a_killed_run_goes_on_with_the_same_regions(
    report: RenderedReport, slide: Path, tmp_path: Path
) -> None:
    """The second time every node is read from the checkpoint and the pixels anew."""
    case = Case(case_id=report.case_id, images=slide, regions=(BOX,))

    def stop(event: dict[str, object]) -> None:
        if (event["agent"], event["event"]) == ("adjudicator", "started"):
            raise KeyboardInterrupt

    kept = tmp_path / "kept.sqlite"
    with ImmunoPath(checkpoints=kept) as engines, pytest.raises(KeyboardInterrupt):
        engines.analyze(case, as_of=AS_OF, on_event=stop)
    with ImmunoPath(checkpoints=kept) as engines:
        resumed = engines.analyze(case, as_of=AS_OF)
    assert resumed.to_json() == report.to_json()
