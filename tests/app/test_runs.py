"""The desk: one case after the other, seen by its own session, kept for a while."""

from collections.abc import Callable, Iterator
from datetime import date
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from page_clock import Clock

from immunopath.app.engines import EnginePool
from immunopath.app.runs import DeskFull, Job, Run, RunDesk
from immunopath.app.uploads import Limits, UploadFolder
from immunopath.domain.case import Case
from immunopath.domain.errors import ImageReadError
from immunopath.pipeline.settings import Settings


class Held(EnginePool):
    """Engines that wait for a sign, and then do what they are told."""

    def __init__(self, act: Callable[[Case], Any]) -> None:
        super().__init__()
        self.go, self.act, self.begun = Event(), act, Event()

    def get(self, settings: Settings) -> Any:
        return self

    def analyze(self, case: Case, **_: Any) -> Any:
        self.begun.set()
        assert self.go.wait(30)
        return self.act(case)


@pytest.fixture
def engines() -> Held:
    return Held(lambda case: case)


@pytest.fixture
def desk(engines: Held, clock: Clock) -> Iterator[RunDesk]:
    made = RunDesk(engines, Limits(max_waiting=2, max_kept=2, keep_s=60), clock)
    yield made
    engines.go.set()
    made.close()


def job(tmp_path: Path, name: str = "a") -> Job:
    folder = UploadFolder.below(tmp_path)
    image = folder.add("0.png", BytesIO(b"x"))
    return Job(Case(case_id=name, images=image), Settings(), date(2026, 1, 1), folder)


def ended(desk: RunDesk, engines: Held) -> None:
    engines.go.set()
    desk._worker.submit(lambda: None).result(30)


def test_a_run_is_seen_by_its_own_session_only(desk: RunDesk, tmp_path: Path) -> None:
    run = desk.submit("mine", job(tmp_path))
    assert desk.find("mine", run.id) is run
    assert desk.find("other", run.id) is None
    assert desk.find("mine", "guess") is None


def test_cases_wait_their_turn_and_a_full_queue_says_so(
    desk: RunDesk, engines: Held, tmp_path: Path
) -> None:
    first = desk.submit("s", job(tmp_path))
    assert engines.begun.wait(30)
    second = desk.submit("s", job(tmp_path))
    with desk.place():
        third = desk.submit("s", job(tmp_path))
    assert [desk.ahead(run) for run in (first, second, third)] == [0, 1, 2]
    with pytest.raises(DeskFull, match="too many cases are waiting"), desk.place():
        pass
    ended(desk, engines)
    assert {run.state for run in (first, second, third)} == {"done"}
    with desk.place():
        pass


def test_a_place_that_is_held_counts_and_is_given_back(desk: RunDesk) -> None:
    with desk.place(), desk.place(), pytest.raises(DeskFull), desk.place():
        pass
    with desk.place():
        pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda case: ImageReadError(f"{case.images[0]}: is empty"), "0.png: is empty"),
        (lambda case: KeyError("odd"), "unexpected KeyError: 'odd'"),
    ],
)
def test_a_failure_is_one_line_and_its_images_are_deleted(
    desk: RunDesk, engines: Held, tmp_path: Path, error: Callable[[Case], Exception], said: str
) -> None:
    def fail(case: Case) -> Any:
        raise error(case)

    engines.act = fail
    run = desk.submit("s", job(tmp_path))
    ended(desk, engines)
    assert (run.state, run.error) == ("failed", said)
    assert list(tmp_path.iterdir()) == []


def test_finished_runs_are_dropped_by_age_and_number(
    desk: RunDesk, engines: Held, clock: Clock, tmp_path: Path
) -> None:
    engines.go.set()
    runs: list[Run] = []
    for name in "abc":
        runs.append(desk.submit("s", job(tmp_path, name)))
        ended(desk, engines)
    kept = [desk.find("s", run.id) is not None for run in runs]
    assert kept == [False, True, True]
    clock.now = 61
    assert desk.find("s", runs[2].id) is None


def test_a_report_goes_when_its_time_is_over_though_nobody_asks(
    desk: RunDesk, engines: Held, clock: Clock, tmp_path: Path
) -> None:
    engines.go.set()
    run = desk.submit("s", job(tmp_path))
    ended(desk, engines)
    clock.now = 61
    desk.sweep()
    assert run.id not in desk._runs


def test_a_finished_run_can_be_forgotten_an_unfinished_one_not(
    desk: RunDesk, engines: Held, tmp_path: Path
) -> None:
    run = desk.submit("s", job(tmp_path))
    desk.forget(run)
    assert desk.find("s", run.id) is run
    ended(desk, engines)
    desk.forget(run)
    assert desk.find("s", run.id) is None
