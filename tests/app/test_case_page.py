"""One case through the page: the real graph, its report, its end."""

import json
from pathlib import Path

import pytest
from app_pages import OWN, finished, left_over, page, start

from immunopath.app.examples import EXAMPLES
from immunopath.app.uploads import Limits
from immunopath.domain.report import RESEARCH_USE, CaseReport
from immunopath.pipeline.graph import ENGINES


@pytest.fixture
def lung(shared_images: Path) -> Path:
    return shared_images / "lung_he_til/u24_cae100/image_99.png"


def test_upload_run_report_and_nothing_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lung: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        answer = start(client, lung, mpp="0.5", histology="squamous", case_id="P/1 ü")
        run = finished(client, answer)
        assert run["state"] == "done", run["error"]
        assert left_over(tmp_path) == []
        seen = [event["agent"] for event in run["events"] if event["event"] == "finished"]
        assert seen[0] == "intake"
        assert seen[-1] == "reporter"
        assert set(ENGINES) <= set(seen)
        report = CaseReport.model_validate_json(client.get(f"{run['at']}/report.json").text)
        assert report.case_id == "P/1 ü"
        assert report.clinical.histology == "squamous"
        assert report.images[0].name == lung.name
        assert report.images[0].mpp_source == "user"
        html = client.get(f"{run['at']}/report.html")
        assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "data:image/jpeg;base64" in html.text
        assert str(tmp_path) not in html.text
        assert client.get(f"{run['at']}/report.md").text.startswith("#")
        fhir = json.loads(client.get(f"{run['at']}/report.fhir?download=1").text)
        assert fhir["resourceType"] == "Bundle"
        named = client.get(f"{run['at']}/report.json?download=1").headers["content-disposition"]
        assert named.startswith('attachment; filename="P-1-')
        assert named.isascii()
        assert client.get(f"{run['at']}/report.exe").status_code == 404
        assert client.delete(run["at"], headers=OWN).status_code == 204
        assert client.get(run["at"]).status_code == 404
    assert list(tmp_path.iterdir()) == []


def test_others_do_not_see_a_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lung: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        run = finished(client, start(client, lung, mpp="0.5"))
        mine = dict(client.cookies)
        client.cookies.clear()
        client.get("/")
        assert dict(client.cookies) != mine
        for path in (run["at"], f"{run['at']}/report.html", f"{run['at']}/report.json"):
            assert client.get(path).status_code == 404
        client.delete(run["at"], headers=OWN)
        client.cookies.clear()
        assert client.get(run["at"]).status_code == 404
        client.cookies.update(mine)
        assert client.get(run["at"]).status_code == 200


def test_a_slide_goes_the_same_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_images: Path
) -> None:
    slide = shared_images.parent / "slides/CMU-1-Small-Region.svs"
    with page(monkeypatch, tmp_path) as client:
        run = finished(client, start(client, slide))
        assert run["state"] == "done", run["error"]
        report = CaseReport.model_validate_json(client.get(f"{run['at']}/report.json").text)
        assert report.images[0].mpp_source == "vendor"
        assert left_over(tmp_path) == []


def test_an_example_leaves_its_own_patient_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = EXAMPLES["lymphocyte-rich"]
    with page(monkeypatch, tmp_path) as client:
        assert client.get(f"/examples/{example.name}").content == example.content()
        fields = {"mpp": str(example.mpp), "patient_id": example.patient_id}
        run = finished(client, start(client, example=example.name, **fields))
        report = CaseReport.model_validate_json(client.get(f"{run['at']}/report.json").text)
        assert report.status == "ok"
        neighbours = report.retrieval.value.neighbours  # type: ignore[union-attr]
        assert neighbours
        assert not any(example.patient_id in hit.title for hit in neighbours)


def test_a_refused_image_is_a_report_that_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_images: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        coffee = shared_images / "negatives/skimage_coffee.png"
        run = finished(client, start(client, coffee, mpp="0.5"))
        assert run["report"]["status"] == "refused"
        assert run["report"]["reason"]
        assert "Why no result is given" in client.get(f"{run['at']}/report.html").text


def test_an_unreadable_image_is_one_line_with_its_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = tmp_path / "note.png"
    text.write_text("no image at all")
    with page(monkeypatch, tmp_path / "run") as client:
        run = finished(client, start(client, text))
        assert run["state"] == "failed"
        assert run["error"].startswith("note.png: is not an image but plain text")
        assert left_over(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"mpp": "20x"}, "mpp '20x': is no number"),
        ({"mpp": "40"}, "not a magnification"),
        ({"mpp": "nan"}, "mpp nan is not a resolution"),
        ({"age": "ninety"}, "clinical facts: age: "),
        ({"yaml": "stge: IVA"}, "did you mean 'stage'"),
        ({"as_of": "today"}, "date 'today': is no date"),
        ({"predictor": "mil:/etc"}, "is not offered"),
        ({"case_id": "x" * 201}, "case id: longer than 200"),
        ({"yaml": "#" * 400_000}, "exceeded"),
    ],
)
def test_a_wrong_field_is_one_line_and_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lung: Path,
    fields: dict[str, str], fault: str,
) -> None:  # fmt: skip
    with page(monkeypatch, tmp_path) as client:
        answer = start(client, lung, **fields)
        assert answer.status_code == 400
        assert fault in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
        assert left_over(tmp_path) == []


def test_none_or_too_many_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lung: Path
) -> None:
    with page(monkeypatch, tmp_path, limits=Limits(max_files=2)) as client:
        nothing = start(client)
        assert nothing.status_code == 400
        assert "no image was given" in nothing.json()["error"]
        assert "no image was given" in start(client, example="../x").json()["error"]
        assert "at most 2" in start(client, lung, lung, lung).json()["error"]
        assert start(client, *[lung] * 9).status_code == 400
        assert left_over(tmp_path) == []


def test_a_stranger_must_load_the_page_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with page(monkeypatch, tmp_path) as client:
        answer = client.post("/runs", data={"example": "lymphocyte-rich"}, headers=OWN)
        assert answer.json()["error"] == "the page is out of date; load it again"


def test_a_full_queue_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lung: Path) -> None:
    with page(monkeypatch, tmp_path, limits=Limits(max_waiting=0)) as client:
        answer = start(client, lung)
        assert answer.status_code == 503
        assert "too many cases are waiting" in answer.json()["error"]


def test_every_page_says_research_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = RESEARCH_USE.replace("&", "&amp;")
    with page(monkeypatch, tmp_path) as client:
        for path in ("/", "/cohort", "/cohort/none", "/nowhere"):
            answer = client.get(path, headers={"accept": "text/html"})
            assert shown in answer.text, path
        assert client.get("/nowhere").json()["error"] == "there is nothing at this address"
