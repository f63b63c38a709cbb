"""Picking regions of a slide through the page: sent once, shown, picked, run, deleted."""

import json
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from app_pages import OWN, finished, left_over, page, start
from PIL import Image
from starlette.testclient import TestClient

from immunopath.app import slide_routes
from immunopath.app.examples import EXAMPLES
from immunopath.app.uploads import Limits
from immunopath.domain.report import CaseReport

SLIDE = EXAMPLES["slide"]


@pytest.fixture
def slide(shared_images: Path) -> Path:
    return shared_images.parent / "slides/CMU-1-Small-Region.svs"


def show(client: TestClient, *images: Path, **fields: str) -> Any:
    """Send a slide as the page does; returns the answer."""
    if not client.cookies:
        client.get("/")
    files = [("images", (path.name, path.read_bytes())) for path in images]
    return client.post("/slides", data=fields, files=files or [("none", b"")], headers=OWN)


def box(place: list[float]) -> str:
    return ",".join(str(int(n)) for n in place[:4])


def test_pick_run_report_and_nothing_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slide: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        shown = show(client, slide).json()
        assert (shown["name"], shown["size"]) == (slide.name, [2220, 2967])
        assert shown["scale"] == "0.499 µm/px, from the scanner's metadata"
        assert len(shown["places"]) == shown["of"] == 11
        at = f"/slides/{shown['slide']}"
        thumbnail = Image.open(BytesIO(client.get(f"{at}/thumbnail.jpg").content))
        assert thumbnail.size == (1197, 1600)
        assert Image.open(BytesIO(client.get(f"{at}/10.jpg").content)).size == (512, 512)
        assert client.get(f"{at}/11.jpg").status_code == 404
        picked = [box(shown["places"][number]) for number in (7, 2)]
        run = finished(client, start(client, slide=shown["slide"], regions="\n".join(picked)))
        assert run["state"] == "done", run["error"]
        assert left_over(tmp_path) == []
        assert client.get(f"{at}/thumbnail.jpg").status_code == 404
        report = CaseReport.model_validate_json(client.get(f"{run['at']}/report.json").text)
        assert [",".join(map(str, image.region or ())) for image in report.images] == picked
        assert all(image.picked and image.mpp_source == "vendor" for image in report.images)
        assert report.sampling is None
        assert any(finding.code == "REGIONS_PICKED" for finding in report.findings)
        assert "Regions picked by hand" in client.get(f"{run['at']}/report.html").text
        fhir = json.loads(client.get(f"{run['at']}/report.fhir").text)
        assert "picked by hand" in json.dumps(fhir)


def test_regions_as_numbers_go_with_the_slide_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slide: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        run = finished(client, start(client, slide, regions="960, 1500, 512, 512\n\n"))
        report = CaseReport.model_validate_json(client.get(f"{run['at']}/report.json").text)
        assert [image.region for image in report.images] == [(960, 1500, 512, 512)]


def test_a_slide_of_which_nothing_is_picked_is_read_as_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        shown = show(client, example=SLIDE.name).json()
        run = finished(client, start(client, slide=shown["slide"], example=SLIDE.name))
        report = CaseReport.model_validate_json(client.get(f"{run['at']}/report.json").text)
        assert not any(image.picked for image in report.images)
        assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("regions", "fault"),
    [
        ("1600,0,512,512", "reaches outside skin_slide_part.svs, which is 1680 x 1680 pixels"),
        ("0,0,0,512", "holds no pixel"),
        ("nan,0,512,512", "is not x,y,width,height"),
        ("-5,0,512,512", "begins outside the slide"),
        ("0,0,99999999999,5", "is not x,y,width,height"),
        ("0,0,99,99\n9,9,99,99", "nuclei would count twice"),
        ("0,0,1,1\n" * 5000, "more than 24 regions"),
        ("<script>alert(1)</script>", "is not x,y,width,height"),
    ],
)
def test_a_wrong_region_is_one_line_and_the_slide_waits_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, regions: str, fault: str
) -> None:
    with page(monkeypatch, tmp_path) as client:
        shown = show(client, example=SLIDE.name).json()
        answer = start(client, slide=shown["slide"], regions=regions)
        assert answer.status_code == 400
        assert fault in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
        assert client.get(f"/slides/{shown['slide']}/thumbnail.jpg").status_code == 200
    assert list(tmp_path.iterdir()) == []


def test_glass_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with page(monkeypatch, tmp_path) as client:
        shown = show(client, example=SLIDE.name).json()
        run = finished(client, start(client, slide=shown["slide"], regions="1540,0,100,100"))
        assert run["report"]["status"] == "refused"
        assert "glass" in run["report"]["reason"]


def test_what_is_no_slide_is_one_line_with_its_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slide: Path, shared_images: Path
) -> None:
    text = tmp_path / "letter.svs"
    text.write_text("no slide at all")
    patch = shared_images / "lung_he_til/u24_cae100/image_99.png"
    below = tmp_path / "app"
    with page(monkeypatch, below) as client:
        for files, fields, fault in (
            ([text], {}, "letter.svs: is not an image but plain text"),
            ([patch], {}, "image_99.png: states no resolution; state its micrometres per pixel"),
            ([patch], {"mpp": "20x"}, "mpp '20x': is no number"),
            ([patch, patch], {"mpp": "0.5"}, "choose one slide"),
            ([], {}, "choose one slide"),
            ([], {"example": "../x"}, "choose one slide"),
            ([slide.with_name("broken.svs")], {}, "broken.svs: "),
        ):
            answer = show(client, *files, **fields)
            assert answer.status_code == 400, fault
            assert answer.json()["error"].startswith(fault)
            assert str(tmp_path) not in answer.text
            assert left_over(below) == []
        assert show(client, patch, mpp="0.5").json()["scale"] == "0.5 µm/px, stated by the user"


def test_others_neither_see_nor_run_nor_delete_a_slide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        at = f"/slides/{show(client, example=SLIDE.name).json()['slide']}"
        mine = dict(client.cookies)
        client.cookies.clear()
        assert client.get(f"{at}/thumbnail.jpg").status_code == 404
        client.get("/")
        for path in (f"{at}/thumbnail.jpg", f"{at}/0.jpg"):
            assert client.get(path).status_code == 404
        assert start(client, slide=at.rpartition("/")[2]).status_code == 410
        client.delete(at, headers=OWN)
        client.cookies.clear()
        client.cookies.update(mine)
        assert client.get(f"{at}/0.jpg").status_code == 200
        assert client.delete(at).status_code == 403
        assert client.delete(at, headers=OWN).status_code == 204
        assert left_over(tmp_path) == []


def test_a_look_does_not_wait_long_for_another_slide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(slide_routes, "PATIENCE_S", 0.01)
    with page(monkeypatch, tmp_path) as client:
        at = f"/slides/{show(client, example=SLIDE.name).json()['slide']}"
        routes: Any = client.app.routes  # type: ignore[attr-defined]
        desk = next(route for route in routes if route.path == "/slides").endpoint.__self__
        with desk.opening:
            answer = client.get(f"{at}/0.jpg")
        assert answer.status_code == 503
        assert "another slide is being opened" in answer.json()["error"]
        assert client.get(f"{at}/0.jpg").status_code == 200


def test_another_site_cannot_send_a_slide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with page(monkeypatch, tmp_path) as client:
        client.get("/")
        assert client.post("/slides", data={"example": SLIDE.name}).status_code == 403


def test_a_slide_goes_when_its_time_is_over_though_nobody_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path, limits=Limits(slide_s=0.2)) as client:
        shown = show(client, example=SLIDE.name).json()
        wait = Event()
        for _ in range(600):
            if not left_over(tmp_path):
                break
            wait.wait(0.05)
        assert left_over(tmp_path) == []
        answer = start(client, slide=shown["slide"], regions="0,0,512,512")
        assert answer.status_code == 410
        assert "is not kept (any more)" in answer.json()["error"]


def test_a_full_shelf_says_so_and_replacing_needs_no_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path, limits=Limits(max_slides=1)) as client:
        assert show(client, example=SLIDE.name).status_code == 200
        assert show(client, example=SLIDE.name).status_code == 200
        assert len(left_over(tmp_path)) == 1
        client.cookies.clear()
        answer = show(client, example=SLIDE.name)
        assert answer.status_code == 503
        assert "too many slides wait" in answer.json()["error"]
