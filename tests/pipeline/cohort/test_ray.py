"""Cohorts on Ray under attack: killed workers, Ctrl+C, hostile rows, two runs in one folder.

One run starts a small cluster of its own, about ten seconds; all but the first test are slow.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from hostile_cohort import ROWS, hostile_rows, make_hostile
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import EngineUnavailable
from immunopath.pipeline.cohort import ray_engine

LUNG = "lung_he_til/u24_cae100/image_99.png"
AS_OF = "2026-11-24"
CASES = 24
RAN = ("cohort.csv", "worklist.csv", "cohort.parquet", "summary.html", "worklist.html")
CODE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from immunopath.cli.main import run
run()
"""
ray_only = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or not Path("/proc/self/stat").exists(),
    reason="needs Ray, and /proc to find its workers",
)


def bytes_below(out: Path) -> dict[str, bytes]:
    kept = (*(out / name for name in RAN), *out.glob("cases/*"), *out.glob("records/*"))
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


def words(manifest: Path, out: Path, engine: str) -> list[str]:
    return [
        "cohort", str(manifest), "-o", str(out), "--engine", engine, "--workers",
        "2" if engine == "ray" else "1", "--as-of", AS_OF, "--no-html", "--quiet",
        "--predictor", "none", "--embedder", "none",
    ]  # fmt: skip


def started(manifest: Path, out: Path, engine: str = "ray") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *words(manifest, out, engine)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = process.communicate(timeout=240)
    return process.returncode, said


def events(out: Path) -> list[str]:
    path = out / "events.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def wait_for_events(process: "subprocess.Popen[str]", out: Path, count: int) -> None:
    while len(events(out)) < count:
        assert process.poll() is None, process.communicate()[1]
        Event().wait(0.02)


def below(root: int) -> Iterator[int]:
    """Yield every process that descends from `root`."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    for pid in parents:
        at = pid
        while at in parents and at != root:
            at = parents[at]
        if at == root and pid != root:
            yield pid


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    """Return the processes of the actors that hold the engines."""
    found = []
    for pid in below(process.pid):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::") and b"Worker" in command:
            found.append(pid)
    return found


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, shared_images: Path) -> Path:
    """24 cases, of which some fail or are refused."""
    path = tmp_path_factory.mktemp("ray") / "m.jsonl"
    (path.parent / "cut.png").write_bytes((shared_images / LUNG).read_bytes()[:5000])
    lines = []
    for number in range(CASES):
        image = {5: "cut.png", 9: str(shared_images / "negatives/skimage_chelsea.png")}.get(
            number, str(shared_images / LUNG)
        )
        lines.append({"case_id": f"=C {number}/..", "images": image, "mpp": 0.5})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def whole(manifest: Path) -> dict[str, bytes]:
    """What one local worker makes of it."""
    done = CliRunner().invoke(app, words(manifest, manifest.parent / "local", "local"))
    assert done.exit_code == 4, done.output
    return bytes_below(manifest.parent / "local")


def test_without_ray_it_is_one_line_and_nothing_is_written(
    tmp_path: Path, shared_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "find_spec", lambda _: None)
    table = tmp_path / "m.csv"
    table.write_text(f"case_id,images,mpp\na,{shared_images / LUNG},0.5\n")
    done = CliRunner().invoke(app, words(table, tmp_path / "out", "ray"))
    assert isinstance(done.exception, EngineUnavailable)
    assert "pip install 'immunopath[ray]'" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@ray_only
def test_a_killed_workers_cases_are_tried_again(
    manifest: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(manifest, out)
    wait_for_events(process, out, 1)
    victims = workers_of(process)
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    assert len(events(out)) < CASES
    code, said = ended(process)
    assert code == 4, said
    assert bytes_below(out) == whole
    assert len({json.loads(line)["case_id"] for line in events(out)}) == CASES
    assert len(events(out)) == CASES


@pytest.mark.slow
@ray_only
def test_interrupted_it_says_so_and_goes_on_where_it_was(
    manifest: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(manifest, out)
    wait_for_events(process, out, 2)
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 130, said
    own = [line for line in said.splitlines() if " core_worker.cc:" not in line]  # Ray's own words
    assert own == [f"{CASES} rows, 0 of them bad", "immunopath: interrupted"]
    done = len(events(out))
    assert 2 <= done < CASES
    code, said = ended(started(manifest, out))
    assert code == 4, said
    assert bytes_below(out) == whole
    assert sum(json.loads(line)["resumed"] for line in events(out)[done:]) >= 2


@pytest.mark.slow
@ray_only
def test_killed_as_a_whole_it_goes_on_where_it_was_by_another_engine(
    manifest: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(manifest, out)
    wait_for_events(process, out, 2)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    code, said = ended(started(manifest, out, "local"))
    assert code == 4, said
    assert bytes_below(out) == whole


@pytest.mark.slow
@ray_only
def test_two_runs_do_not_share_a_folder(
    manifest: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = started(manifest, out)
    wait_for_events(first, out, 1)
    first.send_signal(signal.SIGSTOP)  # so that it cannot be done before the second one asks
    code, said = ended(started(manifest, out))
    first.send_signal(signal.SIGCONT)
    assert code == 2
    assert said.strip().splitlines()[-1].endswith("another run is working in this folder")
    assert ended(first)[0] == 4
    assert bytes_below(out) == whole


@pytest.mark.slow
@ray_only
def test_a_thousand_hostile_rows_end_as_they_do_here(shared_images: Path, tmp_path: Path) -> None:
    folder = make_hostile(tmp_path / "in", shared_images / LUNG)
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in hostile_rows()))
    before = sorted(path for path in tmp_path.rglob("*"))
    done = CliRunner().invoke(app, words(manifest, tmp_path / "local", "local"))
    assert done.exit_code == 4, done.output
    code, said = ended(started(manifest, tmp_path / "ray"))
    assert code == 4, said
    assert f"{ROWS} rows" in said
    assert bytes_below(tmp_path / "ray") == bytes_below(tmp_path / "local")
    outs = (tmp_path / "local", tmp_path / "ray")
    after = [p for p in tmp_path.rglob("*") if not any(o in (p, *p.parents) for o in outs)]
    assert sorted(after) == before
