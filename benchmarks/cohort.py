"""Cohorts: equality after kills and across machines, overhead, speed-up: one JSON object.

``python benchmarks/cohort.py --quick --json -`` prints `cases` (with planted failures: cut-off
images, missing ones, no H&E, bad clinical rows, hostile ids), `kill_resume_equal` (kill -9 at 20
random moments, resumed: the same result files byte for byte as without a kill), `ray_equal` (Ray
Data with two actors against one process), `overhead_share` (of a case of 16 patches: processor
time of graph, store and JSON outside the agents' bodies, see `case_costs`) and `speedup_2_workers`
(wall time: the middle one of ``--pairs`` pairs of runs with one and two workers, the order turned
round from pair to pair, so that what else the machine does meets both).

Without ``--quick`` also Ray with one and two actors, memory over ``--many`` cases and 100,000 rows
of clinical facts through guideline, queue and tables. ``--only`` names the parts to run.
"""

import argparse
import contextlib
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

from benchmark_json import write_figures
from case_costs import AS_OF, memory, overhead
from cohort_cases import build_manifest

from immunopath.domain.cohort import CaseRecord
from immunopath.guidelines.check import load_vignettes
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.triage import queue_facts
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.pipeline.settings import Settings
from immunopath.reporting.cohort_tables import worklist, write_tables

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ("cohort.csv", "worklist.csv", "cohort.parquet", "summary.html", "worklist.html")
KILLS = 20
PARTS = ("compare", "overhead", "memory", "rows")


def command(manifest: Path, out: Path, *more: str) -> list[str]:
    code = "from immunopath.cli.main import run; run()"
    return [sys.executable, "-c", code, "cohort", str(manifest), "-o", str(out),
            "--as-of", str(AS_OF), "--no-html", *more]  # fmt: skip


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


def rows(folder: Path, n: int) -> dict[str, float]:
    """Return seconds for n rows of clinical facts through guideline, queue and tables."""
    names = ("vignettes.yaml", "vignettes_own.yaml")
    given = [v.inputs for f in names for v in load_vignettes(ROOT / "tests/guidelines" / f)]
    today = AS_OF
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


def compare(folder: Path, cases: int, pairs: int, *, quick: bool) -> dict[str, Any]:
    """Return the figures of a cohort with planted failures."""
    manifest, planted = build_manifest(folder, cases)
    times = timed_pairs(manifest, folder, pairs)
    whole = results(folder / "workers 1, pair 0")
    one, two = (sorted(pair[i] for pair in times) for i in (0, 1))
    hits = killed(manifest, folder / "killed", max(2.0, two[0] / 4), seed=7)
    run(manifest, folder / "killed", "--workers", "2")
    ray = {"ray_2_s": run(manifest, folder / "ray", "--engine", "ray", "--workers", "2")}
    if not quick:
        ray["ray_1_s"] = run(manifest, folder / "ray1", "--engine", "ray", "--workers", "1")
    return {
        "cases": cases,
        "planted": planted,
        "kill_resume_equal": results(folder / "killed") == whole,
        "kills_that_hit": hits,
        "workers_equal": all(results(done) == whole for done in folder.glob("workers *")),
        "ray_equal": results(folder / "ray") == whole,
        "speedup_2_workers": round(median(a / b for a, b in times), 2),
        "speedup_2_workers_pairs": [round(a / b, 2) for a, b in times],
        "local_1_s": round(median(one), 1),
        "local_2_s": round(median(two), 1),
        **{name: round(seconds, 1) for name, seconds in ray.items()},
    }


def timed_pairs(manifest: Path, folder: Path, pairs: int) -> list[tuple[float, float]]:
    """Return the seconds of runs with one and with two workers, one after the other, by pair."""
    times = []
    for pair in range(pairs):
        took = {
            workers: run(
                manifest, folder / f"workers {workers}, pair {pair}", "--workers", str(workers)
            )
            for workers in ((1, 2) if pair % 2 == 0 else (2, 1))
        }
        times.append((took[1], took[2]))
    return times


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="default: all; quick: the first 2")
    parser.add_argument("--cases", type=int, default=220)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--many", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "compare": lambda folder: compare(folder, args.cases, args.pairs, quick=args.quick),
        "overhead": lambda folder: overhead(folder, 15),
        "memory": lambda folder: memory(folder, args.many),
        "rows": lambda folder: rows(folder, args.rows),
    }
    found: dict[str, Any] = {}
    for part in args.only or (PARTS[:2] if args.quick else PARTS):
        with tempfile.TemporaryDirectory() as name:
            found |= parts[part](Path(name))
    found |= {"configuration": Settings().digest()[:12], "python": platform.python_version()}
    write_figures(found, args.json)


if __name__ == "__main__":
    main()
