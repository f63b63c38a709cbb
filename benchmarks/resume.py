"""Kill -9 in training, resume, and compare with a run that nobody stopped.

A tiny Gemma 3 with random weights and a cohort of grey tiles (`tests/training/lora`), trained by
``immunopath train`` in processes of its own. The parent kills the second run as soon as it reports
a given step, resumes it, kills it again, and resumes it to its end.

    python benchmarks/resume.py --json -
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/models/foundation"), str(ROOT / "tests/training/lora")]

from benchmark_json import write_figures  # noqa: E402 - after the test folders

from immunopath.models.torchvision_guard import guard_torchvision  # noqa: E402

KILLS = (38, 77)
"""Steps at whose report the run is killed; states are written every 10 steps."""
SETTINGS: dict[str, Any] = {
    "lora": {"dropout": 0.05},
    "data": {"augment": {"geometric": True, "stain": 0.05, "light": 0.02}},
    "optim": {"epochs": 40, "batch": 2, "accumulation": 2, "schedule": "cosine", "lr": 0.01},
    "run": {"every": 10, "log": 1, "patience": 20},
}


def prepare(folder: Path) -> tuple[Path, Path]:
    """Write base, cohort and two configurations that differ in their folder only."""
    guard_torchvision()
    from lora_cohort import build_cohort, tiny_config
    from tiny_medgemma import build_base

    base, cohort = build_base(folder / "base"), build_cohort(folder / "cohort", train=6, val=4)
    made = []
    for name in ("whole", "cut"):
        config = tiny_config(base, cohort, folder / name, **SETTINGS)
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps(config.model_dump(mode="json")))  # JSON is YAML
        made.append(path)
    return made[0], made[1]


def run(config: Path, *options: str, kill_at: int | None = None) -> int:
    """Train in a process of its own, which is killed when it reports a step; returns its code."""
    command = [sys.executable, "-m", "immunopath", "train", str(config), *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if kill_at is not None and line.startswith(f"step {kill_at}/"):
            process.kill()
    return process.wait()


def curve(folder: Path) -> list[tuple[str, str, float]]:
    """Return (step, split, loss) of every row of a run's metrics."""
    with (folder / "metrics.csv").open() as stream:
        return [(r["step"], r["split"], float(r["loss"])) for r in csv.DictReader(stream)]


def measure(folder: Path) -> dict[str, Any]:
    """Return what the two runs have in common."""
    whole, cut = prepare(folder)
    codes = [run(whole)]
    options: list[str] = []
    for step in KILLS:
        codes.append(run(cut, *options, kill_at=step))
        options = ["--resume"]
    codes.append(run(cut, *options))
    a, b = curve(folder / "whole"), curve(folder / "cut")
    parts = json.loads((folder / "cut" / "run.json").read_text())["parts"]
    names = ("metrics.csv", "checkpoint/adapter_model.safetensors", "checkpoint/immunopath.json")
    same = {
        n: (folder / "whole" / n).read_bytes() == (folder / "cut" / n).read_bytes() for n in names
    }
    return {
        "exit_codes": codes,
        "killed_at_steps": list(KILLS),
        "resumed_from_steps": [part["from_step"] for part in parts[1:]],
        "steps": int(a[-1][0]),
        "rows_of_the_curve": len(a),
        "same_rows": [row[:2] for row in a] == [row[:2] for row in b],
        "largest_difference_of_losses": max(abs(x[2] - y[2]) for x, y in zip(a, b, strict=True)),
        "first_loss": a[0][2],
        "last_loss": [row[2] for row in a if row[1] == "train"][-1],
        "byte_identical": same,
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", default="-", metavar="PATH|-")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_figures(measure(Path(folder)), chosen.json)


if __name__ == "__main__":
    main()
