"""The same cases on a Ray cluster: one actor per worker holds the engines, Ray Data does the rest.

Scheduling, back-pressure and the retry of what a killed worker had in hand are Ray Data's. Every
machine must see the images and the output folder under the same paths.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import EngineUnavailable
from immunopath.pipeline.cohort.case_run import CasePlan, Done
from immunopath.pipeline.settings import Settings

ROWS_PER_BLOCK: Final = 4
"""Cases that a worker takes at a time, and loses together when it is killed."""


def require_ray() -> None:
    """Raise `EngineUnavailable` without the extra ``ray``."""
    if find_spec("ray") is None:
        raise EngineUnavailable(
            "--engine ray: Ray is not installed; run pip install 'immunopath[ray]'"
        )


def run_ray(
    settings: Settings, jobs: Sequence[tuple[int, Case]], plan: CasePlan, workers: int
) -> Iterator[Done]:
    """Yield every case as it is done; see `require_ray`."""
    rows = [{"row": number, "case": case.model_dump_json()} for number, case in jobs]
    if not rows:
        return
    with _cluster(workers) as data:
        blocks = max(workers, -(-len(rows) // ROWS_PER_BLOCK))
        done = data.from_items(rows, override_num_blocks=min(blocks, len(rows))).map(
            Worker,
            fn_constructor_args=(settings.model_dump_json(), plan),
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in done.iter_rows():
            record = CaseRecord.model_validate_json(row["record"])
            yield Done(record, resumed=bool(row["resumed"]))


class Worker:
    """An actor that holds the engines."""

    def __init__(self, settings: str, plan: CasePlan) -> None:
        from immunopath.pipeline.cohort.local import start_worker

        start_worker(Settings.model_validate_json(settings), 1)
        self._plan = plan

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the record of a row's case."""
        from immunopath.pipeline.cohort.local import work

        done = work(int(row["row"]), str(row["case"]), self._plan)
        return {"record": done.record.model_dump_json(), "resumed": done.resumed}


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Give `ray.data` on the running cluster (``RAY_ADDRESS``), or on one made for this run."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray
    import ray.data

    own = not ray.is_initialized()
    if own:
        known: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers + 1}
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **known)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray.data
    finally:
        if own:
            ray.shutdown()
