"""One case of a cohort: its key stands for the bytes that were looked at, read once."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from immunopath.domain.case import Case
from immunopath.pipeline.cohort import store
from immunopath.pipeline.cohort.case_run import CasePlan, run_case
from immunopath.pipeline.cohort.store import image_digests
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 24)
SETTINGS = Settings(predictor="none", embedder="none")
LUNG, OTHER = "lung_he_til/u24_cae100/image_99.png", "lung_he_til/u24_train300/24.png"


class Before:
    """Engines before whose analysis something happens."""

    def __init__(self, engines: ImmunoPath, act: Callable[[], object]) -> None:
        self.engines, self.act = engines, act

    def analyze(
        self, case: Case, *, as_of: date | None = None, figures: bool = True
    ) -> RenderedReport:
        """Act, then analyse."""
        self.act()
        return self.engines.analyze(case, as_of=as_of, figures=figures)


@pytest.fixture
def plan(tmp_path: Path) -> CasePlan:
    return CasePlan(tmp_path / "out", AS_OF, SETTINGS.digest(), html=False)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that the store hashes, as they are hashed."""
    seen: list[Path] = []
    digest = store._digest

    def noted(path: Path) -> str | None:
        seen.append(path)
        return digest(path)

    monkeypatch.setattr(store, "_digest", noted)
    return seen


def test_a_result_is_kept_under_the_bytes_it_was_made_of(
    shared_images: Path, tmp_path: Path, plan: CasePlan
) -> None:
    """Were it the bytes before the analysis, an image put back would meet another one's result."""
    image = tmp_path / "core.png"
    case = Case(case_id="a", images=(image,), mpp=0.5)
    shutil.copy(shared_images / LUNG, image)
    with ImmunoPath(settings=SETTINGS) as engines:
        swapping = Before(engines, lambda: shutil.copy(shared_images / OTHER, image))
        run_case(lambda: swapping, case, 1, plan)
        assert run_case(lambda: engines, case, 1, plan).resumed
        shutil.copy(shared_images / LUNG, image)
        assert not run_case(lambda: engines, case, 1, plan).resumed
        assert run_case(lambda: engines, case, 1, plan).resumed


def test_the_store_reads_no_image_of_a_new_case_again(
    shared_images: Path, plan: CasePlan, hashed: list[Path]
) -> None:
    case = Case(case_id="a", images=(shared_images / LUNG, shared_images / OTHER), mpp=0.5)
    with ImmunoPath(settings=SETTINGS) as engines:
        done = run_case(lambda: engines, case, 1, plan)
        assert hashed == []
        assert done.record.key == plan.key(case)
        assert run_case(lambda: engines, case, 1, plan).resumed


def test_images_of_one_name_are_told_apart(
    shared_images: Path, tmp_path: Path, plan: CasePlan
) -> None:
    images = (tmp_path / "a/core.png", tmp_path / "b/core.png")
    for image, source in zip(images, (LUNG, OTHER), strict=True):
        image.parent.mkdir()
        shutil.copy(shared_images / source, image)
    case = Case(case_id="a", images=images, mpp=0.5)
    with ImmunoPath(settings=SETTINGS) as engines:
        assert image_digests(engines.analyze(case, as_of=AS_OF)) == {}
        record = run_case(lambda: engines, case, 1, plan).record
        assert record.key == plan.key(case)
        swapped = case.model_copy(update={"images": images[::-1]})
        assert not run_case(lambda: engines, swapped, 1, plan).resumed


def test_a_failure_is_kept_under_its_key_and_tried_again_when_asked(
    shared_images: Path, tmp_path: Path, plan: CasePlan
) -> None:
    damaged = tmp_path / "cut.png"
    damaged.write_bytes((shared_images / LUNG).read_bytes()[:3000])
    case = Case(case_id="a", images=(damaged,), mpp=0.5)
    with ImmunoPath(settings=SETTINGS) as engines:
        record = run_case(lambda: engines, case, 1, plan).record
        assert (record.status, record.key) == ("failed", plan.key(case))
        assert run_case(lambda: engines, case, 1, plan).resumed
        again = CasePlan(plan.out, AS_OF, plan.configuration, html=False, retry_failed=True)
        assert not run_case(lambda: engines, case, 1, again).resumed


def test_an_image_that_goes_during_the_analysis_leaves_no_key(
    shared_images: Path, tmp_path: Path, plan: CasePlan
) -> None:
    image = tmp_path / "core.png"
    shutil.copy(shared_images / LUNG, image)
    case = Case(case_id="a", images=(image,), mpp=0.5)
    with ImmunoPath(settings=SETTINGS) as engines:
        record = run_case(lambda: Before(engines, image.unlink), case, 1, plan).record
    assert (record.status, record.key) == ("failed", "")
    assert record.reason == f"{image}: cannot be read; check the path and its permissions"


@pytest.mark.parametrize("size", [0, 10**12])
def test_no_engine_is_asked_about_a_file_that_cannot_be_an_image(
    tmp_path: Path, plan: CasePlan, size: int
) -> None:
    image = tmp_path / "core.png"
    with image.open("wb") as stream:
        stream.truncate(size)

    def engines() -> ImmunoPath:
        raise AssertionError("asked")

    record = run_case(engines, Case(case_id="a", images=(image,)), 1, plan).record
    assert (record.status, record.key) == ("failed", "")
    assert record.reason.startswith(f"{image}: is ")
