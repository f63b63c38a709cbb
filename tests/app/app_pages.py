"""A page under test: the real application, asked in process, its uploads in a known folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from immunopath.app.bind import Binding
from immunopath.app.cohort_folder import CohortFolder
from immunopath.app.engines import Menu
from immunopath.app.server import Plan, build_app
from immunopath.app.uploads import Limits
from immunopath.pipeline.settings import Settings

OWN = {"x-immunopath": "page"}
HERE = Binding("127.0.0.1", 7860, None)


@contextmanager
def page(
    monkeypatch: pytest.MonkeyPatch,
    tmp: Path,
    *,
    binding: Binding = HERE,
    limits: Limits | None = None,
    cohort: Path | None = None,
) -> Iterator[TestClient]:
    """Serve the page in process; all of its temporary files lie below `tmp`."""
    tmp.mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp))
    folder = None if cohort is None else CohortFolder(cohort)
    plan = Plan(binding, Menu(Settings(), {}), folder, limits or Limits())
    app = build_app(plan)
    with TestClient(app, base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        yield client


def left_over(tmp: Path) -> list[Path]:
    """Return the files that lie below a temporary folder."""
    return [path for path in tmp.rglob("*") if path.is_file()]


def start(client: TestClient, *images: Path, **fields: str) -> Any:
    """Send a case as the page does; returns the answer."""
    if not client.cookies:
        client.get("/")
    files = [("images", (path.name, path.read_bytes())) for path in images]
    return client.post("/runs", data=fields, files=files or [("none", b"")], headers=OWN)


def finished(client: TestClient, answer: Any) -> dict[str, Any]:
    """Follow a run to its end, and return its last state with its address as ``at``."""
    assert answer.status_code == 202, answer.text
    address = f"/runs/{answer.json()['run']}"
    wait = Event()
    for _ in range(600):
        state: dict[str, Any] = client.get(address).json()
        if state["state"] in {"done", "failed"}:
            return state | {"at": address}
        wait.wait(0.05)
    raise AssertionError(f"the run does not end: {state}")
