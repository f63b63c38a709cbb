"""Speed of the embedded engines and the rank of their lymphocyte share: one JSON object.

``python benchmarks/embedded.py --json -``. One core: set OMP_NUM_THREADS=1. Medians over repeats on
the first 512 px tile (0.5 µm/px) of the shipped core; memory is the peak of this process.
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
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from PIL import Image

from immunopath.domain.case import Case
from immunopath.imaging.intake import take_in
from immunopath.imaging.quality import assess_quality
from immunopath.imaging.tiles import TileStore
from immunopath.models.registry import ENTRIES, Role, build_engine
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "tests/data/images"
AS_OF = date(2026, 11, 24)


def median_ms(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append((perf_counter() - start) * 1000)
    return round(statistics.median(times), 2)


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
    found = {"intake": median_ms(filled, repeats), "of_which_quality": median_ms(
        lambda: assess_quality(rgb), repeats)}  # fmt: skip
    calls: tuple[tuple[Role, str, str], ...] = (
        ("predictor", "predict", "predictor"),
        ("phenotype", "score", "phenotype"),
        ("embedder", "embed", "embedder"),
    )
    for role, method, label in calls:
        if role in ready:
            engine: Any = build_engine(role, spec, "cpu")
            found[label] = median_ms(lambda e=engine, m=method: getattr(e, m)(store), repeats)
    return found


def graph_times(path: Path, repeats: int) -> tuple[float, float]:
    """Return (milliseconds per case, of which outside the agents' own time, engines summed)."""
    case = Case(case_id="bench", images=(path,), mpp=0.5)
    totals, overheads = [], []
    with ImmunoPath() as engines:
        engines.analyze(case, as_of=AS_OF)
        for _ in range(repeats):
            spent: dict[str, float] = {}

            def note(event: dict[str, Any], spent: dict[str, float] = spent) -> None:
                if event["event"] == "finished":
                    spent[event["agent"]] = event["ms"]

            start = perf_counter()
            engines.analyze(case, as_of=AS_OF, on_event=note)
            total = (perf_counter() - start) * 1000
            branch = [spent.pop(name, 0.0) for name in ("predictor", "phenotype", "retrieval")]
            totals.append(total)
            overheads.append(total - max(branch) - sum(spent.values()))
    return round(statistics.median(totals), 2), round(statistics.median(overheads), 2)


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
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--work", type=Path, default=ROOT / "out")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.work.mkdir(exist_ok=True)
    path = patch(args.work)
    parts = stages(path, args.repeats)
    total, overhead = graph_times(path, args.repeats)
    summed = sum(ms for name, ms in parts.items() if not name.startswith("of_which"))
    found = {
        "ms_per_patch": round(summed, 2),
        "stages_ms": parts,
        "case_ms": total,
        "graph_overhead_ms": overhead,
        **nucls_figures(),
        "help_s": help_s(),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    text = json.dumps(found, indent=2) + "\n"
    if args.json == "-":
        sys.stdout.write(text)
    else:
        Path(args.json).write_text(text)


if __name__ == "__main__":
    main()
