"""Worker processes: one that dies takes nobody with it."""

import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from pathlib import Path
from typing import cast

import pytest

from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.pipeline.cohort import local
from immunopath.pipeline.cohort.case_run import CasePlan, Done
from immunopath.pipeline.settings import Settings

DEADLY = "deadly"


def deadly_work(row: int, case: str, plan: CasePlan) -> Done:
    """Stands for a case that eats all memory: its process is killed."""
    parsed = Case.model_validate_json(case)
    if parsed.case_id == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return Done(CaseRecord(case_id=parsed.case_id, row=row, status="ok"), resumed=False)


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    def hand_out(pool: ProcessPoolExecutor, job: local.Job, plan: CasePlan) -> Future[Done]:
        return pool.submit(deadly_work, job[0], job[1].model_dump_json(), plan)

    monkeypatch.setattr(local, "_hand_out", hand_out)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@pytest.mark.usefixtures("deadly")
def test_only_the_case_that_kills_its_worker_twice_is_lost(tmp_path: Path) -> None:
    names = ["a", "b", DEADLY, "c", "d", "e"]
    jobs = [(n, Case(case_id=name, images=(tmp_path / "x",))) for n, name in enumerate(names, 1)]
    plan = CasePlan(tmp_path, date(2026, 11, 24), "digest")
    done: Iterator[Done] = local.run_workers(Settings(), jobs, plan, 2)
    ends = {item.record.case_id: item.record for item in done}
    assert set(ends) == set(names)
    assert {name for name, record in ends.items() if record.status == "failed"} == {DEADLY}
    assert ends[DEADLY].reason == local.DIED


class _DeadPool:
    """A pool whose worker died between two cases."""

    def submit(self, *_: object) -> None:
        raise BrokenProcessPool


def test_a_pool_that_died_between_two_cases_is_left_for_a_new_one(tmp_path: Path) -> None:
    job = (1, Case(case_id="A", images=(tmp_path / "a.png",)))
    waiting, suspects = deque([job]), list[local.Job]()
    plan = CasePlan(tmp_path, date(2026, 11, 24), "digest")
    pool = cast("ProcessPoolExecutor", _DeadPool())
    assert list(local._drain(pool, waiting, plan, 1, suspects)) == []
    assert (list(waiting), suspects) == ([job], [])
