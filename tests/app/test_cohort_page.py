"""The cohort tab: the worklist as the run ranked it, and each case's own report."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from shutil import copytree

import pytest
from app_pages import page
from starlette.testclient import TestClient

from immunopath import Case, ImmunoPath
from immunopath.app.cohort_folder import CohortFolder
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import InputError
from immunopath.reporting.cohort_tables import CLOSED

DATA = Path(__file__).parents[1] / "data/images"
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run: one case to test first, one refused, one unreadable."""
    out = tmp_path_factory.mktemp("cohort") / "out"
    advanced = ClinicalContext(histology="adenocarcinoma", stage_group="IVA")
    lung = DATA / "lung_he_til/u24_cae100/image_99.png"
    cases = [
        Case(case_id="A <b>1</b>", images=lung, mpp=0.5, clinical=advanced),
        Case(case_id="B", images=DATA / "negatives/skimage_coffee.png", mpp=0.5),
        Case(case_id="C", images=DATA / "absent.png", mpp=0.5),
    ]
    with ImmunoPath() as engines:
        engines.cohort(cases, out, as_of=date(2026, 11, 28))
    return out


@pytest.fixture
def copied(run_folder: Path, tmp_path: Path) -> Path:
    return copytree(run_folder, tmp_path / "copy")


@pytest.fixture
def client(copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    with page(monkeypatch, tmp_path / "run", cohort=copied) as made:
        yield made


def stem_of(folder: Path, case_id: str) -> str:
    for path in (folder / "records").glob("*.json"):
        if json.loads(path.read_text())["case_id"] == case_id:
            return path.stem
    raise AssertionError(case_id)


def test_the_list_has_the_head_the_rank_and_what_is_not_in_it(client: TestClient) -> None:
    text = client.get("/cohort").text
    assert CLOSED.replace("'", "&#39;") in text
    assert "as of 2026-11-28" in text
    assert '<td class="rank" data-label="rank">1</td>' in text
    assert "A &lt;b&gt;1&lt;/b&gt;</a>" in text
    assert "broad DNA and RNA sequencing panel, tissue; PD-L1 IHC" in text
    assert "this looks like immunohistochemistry" in text
    assert "absent.png: cannot be read" in text
    assert "1 case in the list; 2 not in it" in text


def test_a_line_leads_to_the_very_report_of_the_run(client: TestClient, copied: Path) -> None:
    stem = stem_of(copied, "A <b>1</b>")
    assert f'href="/cohort/{stem}"' in client.get("/cohort").text
    case = client.get(f"/cohort/{stem}")
    assert "Rank 1 of 1" in case.text
    assert f'sandbox src="/cohort/{stem}/report.html"' in case.text
    html = client.get(f"/cohort/{stem}/report.html")
    assert html.text == (copied / f"cases/{stem}.html").read_text("utf-8")
    assert html.headers["content-security-policy"].startswith("sandbox;")
    written = (copied / f"cases/{stem}.json").read_text("utf-8")
    assert client.get(f"/cohort/{stem}/report.json?download=1").text == written
    assert client.get(f"/cohort/{stem}/report.html?download=1").text == html.text
    assert client.get(f"/cohort/{stem}/report.fhir").json()["resourceType"] == "Bundle"


@pytest.mark.parametrize(
    "name", ["x", "%2e%2e%2frun", "..%2Fcases%2Fa", "%2Fetc%2Fpasswd", "run.json"]
)
def test_an_address_never_becomes_a_path(client: TestClient, name: str) -> None:
    for path in (f"/cohort/{name}", f"/cohort/{name}/report.json"):
        assert client.get(path).status_code == 404


def test_a_case_out_of_the_list_says_why_and_not_what_its_report_lacks(
    client: TestClient, copied: Path
) -> None:
    stem = stem_of(copied, "A <b>1</b>")
    path = copied / "records" / f"{stem}.json"
    changed = {"queue": None, "status": "partial", "reason": "without phenotype"}
    text = json.dumps(json.loads(path.read_text()) | changed)
    path.unlink()  # the folder's time changes, so that it is read again
    path.write_text(text)
    page = client.get(f"/cohort/{stem}").text
    assert "Not in the worklist: no laboratory test is outstanding" in page
    assert "without phenotype" not in page


def test_a_changed_report_is_not_shown(client: TestClient, copied: Path) -> None:
    stem = stem_of(copied, "A <b>1</b>")
    (copied / f"cases/{stem}.html").write_text("<p>forged")
    answer = client.get(f"/cohort/{stem}/report.html")
    assert answer.status_code == 400
    assert "was changed since the run wrote it" in answer.json()["error"]
    case = client.get(f"/cohort/{stem}").text
    assert "was changed since the run wrote it" in case
    assert "<iframe" not in case


@pytest.mark.parametrize("way", ["name", "link", "pipe"])
def test_a_record_cannot_lead_outside(client: TestClient, copied: Path, way: str) -> None:
    secret = copied.parent / "secret.html"
    secret.write_text("secret")
    stem = stem_of(copied, "B")
    path = copied / "records" / f"{stem}.json"
    record = json.loads(path.read_text())
    digest = hashlib.sha256(b"secret").hexdigest()
    name = f"cases/{stem}.html" if way != "name" else f"cases/../../{stem}.html"
    (copied / f"cases/{stem}.html").unlink()
    if way == "link":
        (copied / f"cases/{stem}.html").symlink_to(secret)
    elif way == "pipe":
        os.mkfifo(copied / f"cases/{stem}.html")
    else:
        secret.rename(copied.parent / f"{stem}.html")
    record["files"] = {name: digest}
    path.unlink()  # the folder's time changes, so that it is read again
    path.write_text(json.dumps(record))
    answer = client.get(f"/cohort/{stem}/report.html")
    assert answer.status_code == 400
    fault = "no regular file" if way == "pipe" else "outside the cohort's folder"
    assert fault in answer.json()["error"]


def test_find_narrows_the_list(client: TestClient) -> None:
    assert "1 found" in client.get("/cohort?find=%3CB%3E1").text
    assert "has an id with that text" in client.get("/cohort?find=zzz&page=9").text


def test_an_unfinished_run_and_a_broken_record_are_said(client: TestClient, copied: Path) -> None:
    (copied / "records/broken.json").write_text("{")
    run = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(run | {"state": "running"}))
    text = client.get("/cohort").text
    assert "The run is not finished" in text
    assert "1 record could not be read" in text


def test_without_a_folder_the_tab_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with page(monkeypatch, tmp_path) as client:
        assert "immunopath app --cohort DIR" in client.get("/cohort").text
        answer = client.get("/cohort/a", headers=HTML)
        assert answer.status_code == 404
        assert "there is no such case" in answer.text


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no cohort run"):
        CohortFolder(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="is not the manifest of a cohort run"):
        CohortFolder(tmp_path)
