"""Does a LoRA learn from images? One JSON object, from nothing but this repository.

``python benchmarks/learning.py --json -``. A tiny Gemma 3 is built and trained in full on synthetic
fields of other patients (`learning_base`), then adapted with ``immunopath train``'s own code on a
synthetic cohort, and every figure is taken on its test patients by ``immunopath evaluate``'s own
code with the product's predictor. Synthetic: it proves the way, and says nothing about tissue.

Figures without prefix are those after the LoRA step; ``before_`` is the same base without adapter,
``blank_`` the adapted model shown white tiles, ``mil_`` the attention-MIL head on the same cohort,
``run31_`` the adapter that the ``run-v3.1`` preset makes on a base that practised its layout
(`learning_run31`).
"""

import os
import platform
import resource
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import learning_run31
import synthetic_bench
from benchmark_json import write_figures
from learning_base import PROMPT, BaseRun, Shape, build, train_base
from learning_figures import detail, figures
from synthetic_bench import COHORT, Clock, working_folder

from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.run import Request, Result, run
from immunopath.training.lora.config import merged
from immunopath.training.lora.config_file import make_config
from immunopath.training.lora.run import TrainedCheckpoint, train
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import make_plan, train_mil
from immunopath.training.synthetic import CAPTION
from immunopath.training.synthetic.cohort import CohortSettings, SyntheticCohort
from immunopath.training.synthetic.folder import write_cohort


@dataclass(frozen=True)
class Plan:
    """How large everything is."""

    cohort: CohortSettings
    base: BaseRun
    shape: Shape
    practice: BaseRun
    lora: dict[str, Any]
    mil: dict[str, object]
    seed: int = 1


LORA: dict[str, Any] = {
    "data": {
        "prompt": "synthetic-v1",
        "prompt_text": PROMPT,
        "format": "compact",
        "images": 1,
        "tiles": 4,
        "validation_tiles": 2,
        "augment": {"geometric": True, "stain": 0.03, "light": 0.01},
    },
    "lora": {"rank": 16, "alpha": 32, "dropout": 0.0},
    "optim": {"lr": 3e-3, "batch": 16, "accumulation": 1, "epochs": 8},
    "loss": {"weights": {"immune_phenotype": 3}},
    "run": {"quant": "none", "dtype": "float32", "gradient_checkpointing": False, "every": 192},
}
FULL = Plan(COHORT, BaseRun(fields=4000, steps=900), Shape(), learning_run31.PRACTICE, LORA, {})
QUICK = Plan(
    synthetic_bench.QUICK,
    BaseRun(fields=64, steps=12, batch=8),
    Shape(hidden=64, layers=2, vision_hidden=64, vision_layers=2),
    BaseRun(fields=64, steps=8, batch=8),
    LORA | {"optim": {"lr": 3e-3, "batch": 8, "accumulation": 1, "epochs": 1}},
    {"members": 1, "epochs": 5},
)


def adapt(plan: Plan, cohort: SyntheticCohort, folder: Path) -> TrainedCheckpoint:
    """Run the LoRA step of the ``default`` preset with the plan's changes."""
    constants = cohort.constants
    ours: dict[str, Any] = {
        "data": {
            "quantity": constants.quantity,
            "cut_points": constants.cut_points.model_dump(),
        }
    }
    where = {
        "preset": "default",
        "base": str(folder / "base"),
        "cohort": str(folder / "cohort"),
        "out": str(folder / "lora"),
    }
    return train(make_config(merged(merged(where, plan.lora), ours)), notify=_notify)


def _notify(line: str) -> None:
    sys.stderr.write(line + "\n")


def measure(cohort: Path, out: Path, engine: str, others: dict[str, str]) -> Evaluation:
    """Evaluate an engine on the test patients with its blank control and other engines beside."""
    request = Request(
        cohort=cohort, out=out, predictor=engine, controls=("blank",), engines=tuple(others.items())
    )
    result: Result = run(request)
    return result.evaluation


def trained_base(plan: Plan, folder: Path, ready: Path | None) -> dict[str, float]:
    """Train the base into `folder`, or take one that an earlier run made, and return its losses."""
    if ready is not None:
        shutil.copytree(ready, folder / "base")
        return {}
    build(folder / "untrained", plan.shape, plan.base.seed)
    return train_base(folder / "untrained", folder / "base", plan.base, plan.cohort)


def learn(
    plan: Plan, folder: Path, *, run31: Sequence[str] | None, ready: Path | None
) -> dict[str, Any]:
    """Go the whole way in `folder` and return the figures.

    run31: variants of the published run's preset to make beside it, None = not even itself; ready:
    a base made before.
    """
    clock = Clock()
    cohort_folder, base = folder / "cohort", folder / "base"
    cohort = write_cohort(cohort_folder, plan.cohort, plan.seed)
    clock.mark("cohort")
    losses = trained_base(plan, folder, ready)
    clock.mark("base")
    made = adapt(plan, cohort, folder)
    clock.mark("lora")
    train_mil(make_plan(cohort_folder, "embedded", MilSettings.make(plan.mil)), folder / "mil")
    clock.mark("mil")
    before = f"medgemma:{base},record={made.folder / 'immunopath.json'}"
    beside = {"before": before, "mil": f"mil:{folder / 'mil'}"}
    found = measure(cohort_folder, folder / "evaluation", made.engine, beside)
    clock.mark("evaluation")
    sets: dict[str, str | None] = {
        "": None, "before_": "before", "blank_": "blank", "mil_": "mil", "majority_": "majority",
        "clinical_": "clinical",
    }  # fmt: skip
    report: dict[str, Any] = {"caption": CAPTION}
    for prefix, of in sets.items():
        report |= figures(found, of, prefix)
    report["detail"] = {prefix or "lora_": detail(found, of) for prefix, of in sets.items()}
    report["alarm"] = found.alarm.model_dump(mode="json")
    report["lora"] = {"steps": made.steps, "best_step": made.best_step, "val_loss": made.val_loss}
    if run31 is not None:
        report |= learning_run31.report(folder, plan.practice, plan.cohort, run31, clock)
    return report | _about(plan, cohort, found, losses, clock)


def _about(
    plan: Plan,
    cohort: SyntheticCohort,
    found: Evaluation,
    losses: dict[str, float],
    clock: Clock,
) -> dict[str, Any]:
    return {
        "test_patients": found.n,
        "splits": found.splits,
        "fields": len(cohort.tiles),
        "cohort": plan.cohort.model_dump(mode="json"),
        "base": {
            "trained_here": bool(losses),
            "fields": plan.base.fields,
            "steps": plan.base.steps,
            "losses": losses,
        },
        "wall_s": clock.wall_s,
        "cpu_s": clock.cpu_s,
        "minutes": round(sum(clock.wall_s.values()) / 60, 1),
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def main() -> None:
    parser = synthetic_bench.parser(__doc__)
    parser.add_argument("--no-run31", action="store_true", help="leave the run-v3.1 preset out")
    parser.add_argument(
        "--run31-variants",
        nargs="*",
        choices=tuple(learning_run31.VARIANTS),
        default=learning_run31.SHOWN,
        help="what to change in the run-v3.1 preset; all of them take about half an hour of CPU",
    )
    parser.add_argument("--base", type=Path, help="folder of a base that an earlier run kept")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    with working_folder(options.keep, "learning") as folder:
        names = None if options.no_run31 else options.run31_variants
        report = learn(plan, folder, run31=names, ready=options.base)
    write_figures(report, options.json)


if __name__ == "__main__":
    main()
