"""Cohorts: equality after kills and across machines, overhead, speed-up: one JSON object.

``python benchmarks/cohort.py --quick --json -`` prints `cases` (with planted failures: cut-off
images, missing ones, no H&E, bad clinical rows, hostile ids), `kill_resume_equal` (kill -9 at 20
random moments, resumed: the same result files byte for byte as without a kill), `ray_equal` (Ray
Data with two actors against one process), `overhead_share` (of a case of 16 patches: processor
time of graph, store and JSON outside the agents' bodies) and `speedup_2_workers` (wall time).

Without ``--quick`` also Ray with one and two actors, memory over ``--many`` cases and 100,000 rows
of clinical facts through guideline, queue and tables.
"""

import argparse
import contextlib
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import cv2
from agent_clock import body_clock
from benchmark_json import write_figures
from cohort_cases import build_manifest, sixteen_patches

from immunopath.domain.cohort import CaseRecord
from immunopath.guidelines.check import load_vignettes
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.triage import queue_facts
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.pipeline.cohort.case_run import CasePlan, run_case
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.reporting.cohort_tables import worklist, write_tables

ROOT = Path(__file__).resolve().parent.parent
AS_OF = "2026-11-24"
RESULTS = ("cohort.csv", "worklist.csv", "cohort.parquet", "summary.html", "worklist.html")
KILLS = 20


def command(manifest: Path, out: Path, *more: str) -> list[str]:
    code = "from immunopath.cli.main import run; run()"
    return [sys.executable, "-c", code, "cohort", str(manifest), "-o", str(out), "--as-of", AS_OF,
            "--no-html", *more]  # fmt: skip


def run(manifest: Path, out: Path, *more: str) -> float:
    """Run a cohort in a process of its own; returns its wall seconds."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = perf_counter()
    done = subprocess.run(
        command(manifest, out, *more), capture_output=True, env=environment, check=False
    )
    if done.returncode not in {0, 4}:
        raise SystemExit(done.stderr.decode()[-2000:])
    return perf_counter() - start


def results(out: Path) -> dict[str, bytes]:
    """Every result file; what holds times and hosts is none."""
    files = [*(out / name for name in RESULTS), *out.glob("cases/*"), *out.glob("records/*")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def killed(manifest: Path, out: Path, seconds: float, seed: int) -> int:
    """Kill a run of two workers, processes and all, at random moments; returns how often it hit."""
    source, hits = random.Random(seed), 0  # noqa: S311 - reproducible
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(manifest, out, "--workers", "2"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        sleep(source.uniform(0.2, seconds))
        hits += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return hits


def overhead(folder: Path, repeats: int) -> dict[str, float]:
    """Return milliseconds of a 16-patch case, and of it those outside the agents' bodies."""
    # Threads of OpenCV would count as time outside the bodies, which are timed by their own thread.
    cv2.setNumThreads(1)
    case = sixteen_patches(folder)
    totals, outside = [], []
    with body_clock() as bodies, ImmunoPath() as engines:
        plan = CasePlan(folder / "over", date.fromisoformat(AS_OF), "", html=False)
        for n in range(repeats + 1):
            bodies.clear()
            start = process_time()
            run_case(lambda: engines, case, n, replace(plan, configuration=str(n)))
            totals.append((process_time() - start) * 1000)
            outside.append(totals[-1] - sum(bodies.values()))
    best = min(range(1, repeats + 1), key=lambda n: outside[n])
    return {
        "case_16_patches_ms": round(totals[best], 1),
        "overhead_ms": round(outside[best], 1),
        "overhead_share": round(outside[best] / totals[best], 4),
    }


def memory(folder: Path, cases: int) -> dict[str, float]:
    """Return peak memory after a tenth and after all of many cases in one process, in MB."""
    case = sixteen_patches(folder)
    case = case.model_copy(update={"images": case.images[:1]})
    peaks = {}
    with ImmunoPath() as engines:
        plan = CasePlan(folder / "many", date.fromisoformat(AS_OF), "c", html=False)
        for n in range(1, cases + 1):
            run_case(lambda: engines, case.model_copy(update={"case_id": f"case {n}"}), n, plan)
            if n in {max(1, cases // 10), cases}:
                peaks[f"peak_mb_after_{n}"] = round(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1
                )
    return peaks


def rows(folder: Path, n: int) -> dict[str, float]:
    """Return seconds for n rows of clinical facts through guideline, queue and tables."""
    names = ("vignettes.yaml", "vignettes_own.yaml")
    given = [v.inputs for f in names for v in load_vignettes(ROOT / "tests/guidelines" / f)]
    today = date.fromisoformat(AS_OF)
    start = perf_counter()
    records = []
    for i in range(n):
        facts = given[i % len(given)] | {"diagnosed_on": today - timedelta(days=i % 90)}
        context = parse_inputs(facts, defaults=True)
        answer = evaluate(context, as_of=today)
        queue = queue_facts(f"row {i}", answer, context)
        records.append(
            CaseRecord(case_id=f"row {i}", row=i, status="ok", category=answer.category.value,
                       queue=queue if queue.level else None)
        )  # fmt: skip
    answered = perf_counter() - start
    write_tables(folder / "rows", records, worklist(records, today))
    return {
        "rows": n,
        "rows_guideline_s": round(answered, 1),
        "rows_all_s": round(perf_counter() - start, 1),
    }


def compare(folder: Path, cases: int, *, quick: bool) -> dict[str, Any]:
    """Return the figures of a cohort with planted failures."""
    manifest, planted = build_manifest(folder, cases)
    one = run(manifest, folder / "one", "--workers", "1")
    two = run(manifest, folder / "two", "--workers", "2")
    whole = results(folder / "one")
    hits = killed(manifest, folder / "killed", max(2.0, two / 4), seed=7)
    run(manifest, folder / "killed", "--workers", "2")
    ray = {"ray_2_s": run(manifest, folder / "ray", "--engine", "ray", "--workers", "2")}
    if not quick:
        ray["ray_1_s"] = run(manifest, folder / "ray1", "--engine", "ray", "--workers", "1")
    return {
        "cases": cases,
        "planted": planted,
        "kill_resume_equal": results(folder / "killed") == whole,
        "kills_that_hit": hits,
        "workers_equal": results(folder / "two") == whole,
        "ray_equal": results(folder / "ray") == whole,
        "speedup_2_workers": round(one / two, 2),
        "local_1_s": round(one, 1),
        "local_2_s": round(two, 1),
        **{name: round(seconds, 1) for name, seconds in ray.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cases", type=int, default=220)
    parser.add_argument("--many", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = compare(folder, args.cases, quick=args.quick) | overhead(folder, 5)
        if not args.quick:
            found |= memory(folder, args.many) | rows(folder, args.rows)
    found |= {"configuration": Settings().digest()[:12], "python": platform.python_version()}
    write_figures(found, args.json)


if __name__ == "__main__":
    main()
