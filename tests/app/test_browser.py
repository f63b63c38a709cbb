"""The page end to end in headless Chromium: upload, report, download; nothing asked elsewhere."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from app_pages import left_over

from immunopath import Case, ImmunoPath
from immunopath.domain.report import CaseReport
from immunopath.pipeline.graph import ENGINES

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
STEPS = Path(__file__).with_name("browser_steps.py")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("browser")
    made = {name: root / name for name in ("uploads", "downloads", "cohort")}
    for name in ("uploads", "downloads"):
        made[name].mkdir()
    return made


@pytest.fixture(scope="module")
def seen(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Serve the page, drive the browser, end the page; returns what was seen."""
    chromium = _chromium()
    if chromium is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed and starts")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no browser driver: pip install 'immunopath[browser]'")
    data = Path(__file__).parents[1] / "data/images"
    lung = data / "lung_he_til/u24_cae100/image_99.png"
    with ImmunoPath() as engines:
        names = ("of the cohort", "x" * 200, "reversed \u202e")
        images = sorted(lung.parent.glob("*.png"))
        cases = [Case(case_id=names[0], images=lung, mpp=0.5)] + [
            Case(case_id=name, images=image, mpp=0.5)
            for name, image in zip(names[1:], images, strict=False)
        ]
        engines.cohort(cases, folders["cohort"], as_of=date(2026, 11, 28))
    text = tmp_path_factory.mktemp("text") / "letter.png"
    text.write_text("no image")
    slide = data.parent / "slides/CMU-1-Small-Region.svs"
    given = (lung, data / "negatives/skimage_coffee.png", text, slide)
    with _served(folders) as url:
        words = [chromium, url, folders["downloads"], *given]
        done = subprocess.run(
            [sys.executable, str(STEPS), *map(str, words)],
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        result: dict[str, Any] = json.loads(done.stdout)
        result["left"] = [str(path) for path in left_over(folders["uploads"])]
    return result


def _chromium() -> str | None:
    """Return a browser that starts; a distribution may have a script that only says where it is."""
    for path in filter(None, map(shutil.which, NAMES)):
        done = subprocess.run([path, "--version"], capture_output=True, check=False, timeout=60)
        if done.returncode == 0:
            return path
    return None


class _served:  # noqa: N801 - used as a function
    """The real command in a process of its own, on a free port."""

    def __init__(self, folders: dict[str, Path]) -> None:
        words = ["app", "--port", "0", "--cohort", str(folders["cohort"])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "immunopath", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(folders["uploads"]), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def __enter__(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ImmunoPath at http://127.0.0.1:"), line
        return line.split()[2]

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=60)
        assert (self.process.returncode, said) == (0, "")


def test_upload_report_download(seen: dict[str, Any], folders: dict[str, Path]) -> None:
    case = seen["case"]
    assert case["title"] == "Case seen in a browser"
    assert all("done, " in case["nodes"][name] for name in ("intake", *ENGINES, "reporter"))
    assert {name.rpartition(".")[2] for name in case["files"].values()} == {"html", "json", "md"}
    text = (folders["downloads"] / "report.json").read_text("utf-8")
    report = CaseReport.model_validate_json(text)
    assert report.clinical.histology == "adenocarcinoma"
    assert "data:image/jpeg" in (folders["downloads"] / "report.html").read_text("utf-8")
    bundle = json.loads((folders["downloads"] / "report.fhir").read_text("utf-8"))
    assert bundle["resourceType"] == "Bundle"


def test_nothing_is_asked_of_anybody_else(seen: dict[str, Any]) -> None:
    """`data` and `blob` are pictures that the browser holds already."""
    asked = set(seen["hosts"]) - {"data", "blob"}
    assert len(asked) == 1
    assert asked.pop().startswith("127.0.0.1:")
    assert seen["console"] == []


@pytest.mark.parametrize("width", ["1280", "390"])
def test_it_fits_the_window_and_the_banner_stays(seen: dict[str, Any], width: str) -> None:
    layouts = [seen[part]["layout"] for part in ("case", "keyboard", "cohort")]
    for layout in (seen["empty"], seen["cohort"]["long"], *layouts):
        assert layout[width] == {"overflow": 0, "banner": 0}


def test_faults_are_one_line(seen: dict[str, Any]) -> None:
    faults = seen["faults"]
    assert faults["none"] == "no image was given; choose at least one, or an example"
    assert faults["refused"].startswith("REFUSED none of 2 tiles is usable")
    assert faults["text"].startswith("letter.png: is not an image but plain text")
    assert faults["fact"].startswith("clinical facts: age: ")
    assert not any("\n" in text or "Traceback" in text for text in faults.values())


def test_regions_are_picked_by_keyboard_and_run(seen: dict[str, Any]) -> None:
    found = seen["keyboard"]
    assert found["facts"].startswith("CMU-1-Small-Region.svs: 2220 × 2967 px, 0.499 µm/px, from")
    assert (found["squares"], found["drawn"]) == (11, 2220)
    assert len(found["regions"]) == 2
    assert found["picked"].startswith("2 regions picked. Only they are read")
    assert found["on"].startswith("column ")
    assert found["console"] == []
    assert "A person picked what was read" in found["report"]
    assert all(region in found["report"] for region in found["regions"])
    assert found["after"] == "The slide went with its run and is deleted after it."


def test_regions_are_picked_with_a_pointer_and_as_numbers(seen: dict[str, Any]) -> None:
    found = seen["pointer"]
    assert (found["one"], found["drawn"], found["cleared"]) == ("true", "1", "")
    assert found["larger"] == "2 True"
    assert found["none"].startswith("None picked")
    assert (found["kept"], found["left"]) == ("200", "404"), "a page that is left keeps no slide"
    assert found["odd"] == "Line 1 is no x,y,width,height in whole pixels."
    assert "reaches outside skin_slide_part.svs" in found["outside"]


def test_without_script_the_page_says_what_to_do(seen: dict[str, Any]) -> None:
    assert "--region x,y,width,height" in seen["without_script"]


def test_another_browser_gets_nothing(seen: dict[str, Any]) -> None:
    assert seen["other_browser"] == 404


def test_the_cohort_leads_to_its_case(seen: dict[str, Any]) -> None:
    assert seen["cohort"]["title"] == "Case of the cohort"


def test_nothing_is_left(seen: dict[str, Any], folders: dict[str, Path]) -> None:
    assert seen["left"] == []
    assert list(folders["uploads"].iterdir()) == []
