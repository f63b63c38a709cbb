"""The one-call interface: a path or a case in, the same report out as from the graph."""

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

import immunopath
from immunopath.domain.case import MAX_CASE_ID, Case
from immunopath.domain.errors import ImageReadError, ImmunoPathError, ResolutionError
from immunopath.pipeline.run import ImmunoPath
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 24)


@pytest.fixture(scope="module")
def patch(shared_images: Path) -> Path:
    return shared_images / "lung_he_til/u24_cae100/image_99.png"


@pytest.fixture(scope="module")
def report(patch: Path) -> RenderedReport:
    return immunopath.analyze(patch, mpp=0.5, as_of=AS_OF)


def test_a_path_is_named_after_its_file(report: RenderedReport) -> None:
    assert report.case_id == "image_99"
    assert report.as_of == AS_OF
    assert [image.mpp_source for image in report.images] == ["user"]


def test_text_path_and_case_are_the_same_question(report: RenderedReport, patch: Path) -> None:
    case = Case(case_id="image_99", images=(patch,), mpp=0.5)
    for same in (str(patch), case):
        mpp = None if isinstance(same, Case) else 0.5
        assert immunopath.analyze(same, mpp=mpp, as_of=AS_OF).to_json() == report.to_json()


def test_it_is_the_embedded_profile_of_the_one_graph(report: RenderedReport, patch: Path) -> None:
    with ImmunoPath(profile="embedded") as engines:
        case = Case(case_id="image_99", images=(patch,), mpp=0.5)
        assert engines.analyze(case, as_of=AS_OF).to_json() == report.to_json()


def test_without_mpp_it_is_assumed_and_said(patch: Path) -> None:
    found = immunopath.analyze(patch, as_of=AS_OF)
    assert [image.mpp_source for image in found.images] == ["assumed"]
    assert "MPP_ASSUMED" in {finding.code for finding in found.findings}


@pytest.mark.parametrize("mpp", [0, -0.5, 40, float("nan")])
def test_a_wrong_mpp_is_an_error_of_the_tree(patch: Path, mpp: float) -> None:
    with pytest.raises((ResolutionError, ValueError), match=r"micrometres|finite"):
        immunopath.analyze(patch, mpp=mpp)


@pytest.mark.parametrize(
    "name",
    ["gone.png", "", "x" * 250 + ".png", "a\x1b[31m.png"],
    ids=["gone", "none", "long", "esc"],
)
def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageReadError) as caught:
        immunopath.analyze(tmp_path / name if name else "")
    assert str(caught.value).isprintable()


def test_the_longest_file_name_still_names_a_case(patch: Path, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 240 + ".png")
    shutil.copy(patch, path)
    assert immunopath.analyze(path, mpp=0.5, as_of=AS_OF).case_id == "x" * MAX_CASE_ID


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_a_file_name_that_is_no_text_is_spelled_out(patch: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe4rzte.png"))
    shutil.copy(patch, path)
    assert immunopath.analyze(path, mpp=0.5, as_of=AS_OF).case_id == r"\udce4rzte"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, immunopath\n"
        "heavy = ('numpy', 'cv2', 'PIL', 'langgraph', 'pydantic', 'faiss', 'torch')\n"
        "print([m for m in heavy if m in sys.modules], immunopath.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"[] {immunopath.__version__}"


@pytest.mark.parametrize("name", [n for n in immunopath.__all__ if n != "__version__"])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(immunopath, name).__doc__


def test_other_names_are_not_made_up() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        immunopath.nonsense  # noqa: B018 - the look-up is the test
    assert issubclass(ImageReadError, ImmunoPathError)
