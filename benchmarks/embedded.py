"""Speed of the embedded engines and the rank of their lymphocyte share: one JSON object.

``python benchmarks/embedded.py --json -``. One core: set OMP_NUM_THREADS=1. Milliseconds are CPU
time (`time.process_time`), the least of many repeats: other work on the machine adds to wall time
and to medians, not to that. One 512 px field (0.5 µm/px) of the shipped core as a PNG file; memory
is the peak of this process.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from agent_clock import body_clock
from benchmark_json import write_figures
from PIL import Image

from immunopath.domain.case import Case
from immunopath.imaging.decode import decode_image
from immunopath.imaging.intake import take_in
from immunopath.imaging.quality import assess_quality
from immunopath.imaging.tiles import TileStore
from immunopath.models.registry import ENTRIES, Role, build_engine
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "tests/data/images"
AS_OF = date(2026, 11, 24)


def least_ms(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = process_time()
        call()
        times.append((process_time() - start) * 1000)
    return round(min(times), 2)


def patch(folder: Path) -> Path:
    """Write the first full tile of the core as a 512 px PNG."""
    pixels = np.asarray(Image.open(IMAGES / "he_other/instanseg_tma_HE_0.5mpp.tif").convert("RGB"))
    path = folder / "patch.png"
    Image.fromarray(pixels[400:912, 400:912]).save(path)
    return path


def stages(path: Path, repeats: int) -> dict[str, float]:
    spec = EngineSpec(name="embedded")
    ready = {e.role for e in ENTRIES if e.name == "embedded" and e.builder}

    def filled() -> TileStore:
        store = TileStore()
        take_in([path], 0.5, store)
        return store

    store = filled()
    rgb = store.image(0, 512)
    found = {
        "intake": least_ms(filled, repeats),
        "of_which_decode": least_ms(lambda: decode_image(path), repeats),
        "of_which_quality": least_ms(lambda: assess_quality(rgb), repeats),
    }
    calls: tuple[tuple[Role, str, str], ...] = (
        ("predictor", "predict", "predictor"),
        ("phenotype", "score", "phenotype"),
        ("embedder", "embed", "embedder"),
    )
    for role, method, label in calls:
        if role in ready:
            engine: Any = build_engine(role, spec, "cpu")
            found[label] = least_ms(lambda e=engine, m=method: getattr(e, m)(store), repeats)
    return found


def graph_times(path: Path, repeats: int) -> dict[str, float]:
    """Return milliseconds per case, of them those outside the agents' bodies, and the rules' share.

    Outside: the graph itself, plain dicts written and read, the finished report with its pictures.
    """
    case = Case(case_id="bench", images=(path,), mpp=0.5)
    totals, overheads, guideline = [], [], []
    with body_clock() as bodies, ImmunoPath() as engines:
        engines.analyze(case, as_of=AS_OF)
        for _ in range(repeats):
            bodies.clear()
            start = process_time()
            engines.analyze(case, as_of=AS_OF)
            totals.append((process_time() - start) * 1000)
            overheads.append(totals[-1] - sum(bodies.values()))
            guideline.append(bodies["guideline_agent"])
    return {
        "case_ms": round(min(totals), 2),
        "graph_overhead_ms": round(min(overheads), 2),
        "guideline_ms": round(min(guideline), 2),
    }


def nucls_figures() -> dict[str, Any]:
    """Return the leave-one-image-out rank of the lymphocyte share, its interval and baselines."""
    script, data = ROOT / "scripts/fit_nuclei.py", IMAGES / "nucls_til"
    command = [sys.executable, str(script), str(data), "--loio", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {
        "nucls_spearman": round(found["clean"]["share_spearman"], 3),
        "nucls_spearman_95": [round(bound, 3) for bound in found["spearman_95"]],
        "nucls_n_images": found["n_images"],
        "nucls_baseline_spearman": {
            name: None if row["share_spearman"] is None else round(row["share_spearman"], 3)
            for name, row in found["baselines"].items()
        },
    }


def help_s(repeats: int = 5) -> float:
    command = [sys.executable, "-m", "immunopath", "--help"]
    times = []
    for _ in range(repeats):
        start = perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(perf_counter() - start)
    return round(statistics.median(times), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--work", type=Path, default=ROOT / "out")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.work.mkdir(exist_ok=True)
    path = patch(args.work)
    parts = stages(path, args.repeats)
    summed = sum(ms for name, ms in parts.items() if not name.startswith("of_which"))
    found = {
        "ms_per_patch": round(summed, 2),
        "ms_per_patch_without_decode": round(summed - parts["of_which_decode"], 2),
        "stages_ms": parts,
        **graph_times(path, args.repeats),
        **nucls_figures(),
        "help_s": help_s(),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    write_figures(found, args.json)


if __name__ == "__main__":
    main()
