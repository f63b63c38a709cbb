"""A killed parent leaves no worker behind."""

import subprocess
import sys

import pytest

from immunopath.domain.workers import end_with_parent

PARENT = """
import os, signal
{pool}
held = pool()
print(held.submit(os.getpid).result(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
COHORT = """
from immunopath.pipeline.cohort.local import _pool
from immunopath.pipeline.settings import Settings
pool = lambda: _pool(Settings.make({}), 2)
"""
READERS = """
from immunopath.imaging.slides.reading import Readers
pool = lambda: Readers(2).__enter__()._pool
"""


@pytest.mark.parametrize("pool", [COHORT, READERS], ids=["cohort", "slides"])
def test_workers_end_when_their_parent_is_killed(pool: str) -> None:
    """The pipe of the output is open as long as one of them lives."""
    done = subprocess.run(
        [sys.executable, "-c", PARENT.format(pool=pool)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    assert done.stdout.strip().isdigit()


def test_a_main_process_goes_on() -> None:
    end_with_parent()
