"""Calibration of a MIL head on a synthetic cohort: errors before and after, coverage, set sizes.

    python benchmarks/calibration.py --json -            # about 10 minutes on one free core
    python benchmarks/calibration.py --json - --patients 400 --folder FOLDER   # keeps what it made

The cohort is rendered with known truth (`immunopath.training.synthetic`); nothing here speaks of
patients. The head is trained on ``train``, calibrated on ``val`` by `fit_calibrator` and judged
on ``test``, which neither has seen. Every error stands beside the one that tables telling the truth
have on as many patients. ``sharpened`` are the same tables raised to the third power, as an
overconfident model would state them. For the coverage over seeds, ``val`` and ``test`` are thrown
together and divided anew, so that cases are exchangeable by construction.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmark_json import write_figures

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.calibration import FieldCalibration, write_calibrator
from immunopath.training.calibration.calibrate import fit_calibrator
from immunopath.training.calibration.conformal import held
from immunopath.training.calibration.fit import (
    FitOptions,
    error_of,
    expected_error,
    fit_field,
)
from immunopath.training.evaluation.collect import FieldData, collect
from immunopath.training.evaluation.resample import Floats
from immunopath.training.mil.predict import predict_cohort
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import Means, make_plan, train_mil
from immunopath.training.predictions import read_predictions, write_predictions
from immunopath.training.samples import SAMPLES, Sample, read_samples
from immunopath.training.synthetic.cohort import CohortSettings
from immunopath.training.synthetic.folder import write_cohort

PATIENTS: Final = 5000
SHARPER: Final = 3.0
SEEDS: Final = 20
COVERAGE: Final = 0.9
SETTINGS: Final = {"tiles": 2, "val": 0.3, "test": 0.45}
"""Half of the patients are held out, a quarter is enough to train a head that is not perfect."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", required=True, help="file, or - for standard output")
    arguments.add_argument("--patients", type=int, default=PATIENTS)
    arguments.add_argument("--noise", type=float, default=0.3, help="of the labels")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--folder", type=Path, help="keeps cohort, head and answers; reused")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        prepare(folder, given.patients, given.noise, given.seed)
        write_figures(figures(folder), given.json)


def prepare(folder: Path, patients: int, noise: float, seed: int) -> None:
    """Write the cohort, the head and its answers on val and test, as far as they are not there."""
    cohort, head = folder / "cohort", folder / "head"
    if not (cohort / "truth.json").is_file():
        settings = CohortSettings.model_validate({"patients": patients, "noise": noise, **SETTINGS})
        write_cohort(cohort, settings, seed)
    if not (head / "mil.json").is_file():
        plan = make_plan(cohort, "embedded", MilSettings(seed=seed, members=3))
        train_mil(plan, head, Means(workers=2))
    for split in ("val", "test"):
        path = folder / f"{split}.json"
        if not path.is_file():
            write_predictions(path, predict_cohort(head, cohort, split))


def figures(folder: Path) -> dict[str, Any]:
    """Return every figure of a prepared folder; writes the head's ``calibration.json``."""
    samples = read_samples(folder / "cohort" / SAMPLES)
    answers = {split: read_predictions(folder / f"{split}.json") for split in ("val", "test")}
    options = FitOptions(coverage=COVERAGE)
    calibrator = fit_calibrator(folder / "val.json", folder / "cohort" / SAMPLES, options=options)
    write_calibrator(calibrator, folder / "head")
    found: dict[str, Any] = {
        "cohort": "synthetic, rendered; no statement about patients",
        "n_val": len(answers["val"].answers),
        "n_test": len(answers["test"].answers),
        "coverage_target": COVERAGE,
        "seeds": SEEDS,
    }
    served = predict_cohort(folder / "head", folder / "cohort", "test")
    fields = {}
    for name in FIELD_VALUES:
        val, test = (collect(_of(samples, s), answers[s], name) for s in ("val", "test"))
        fields[name] = field_figures(calibrator.field(name), val, test, options)
        if fields[name]["evaluable"]:
            fields[name]["ece_served"] = _error(collect(_of(samples, "test"), served, name))
    return {**found, **summary(fields), "fields": fields}


def summary(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the worst errors of the categories and the range of mean coverages of all fields."""
    kept = [found for found in fields.values() if found["evaluable"]]
    classes = [found for found in kept if found["kind"] == "category"]
    sharp = [found["sharpened"] for found in classes if "ece_after" in found["sharpened"]]
    means = [found["coverage_over_seeds"]["mean"] for found in kept]
    return {
        "worst_ece_before": max(found["ece_before"] for found in classes),
        "worst_ece_after": max(found["ece_after"] for found in classes),
        "worst_ece_if_calibrated": max(found["ece_if_calibrated"] for found in classes),
        "worst_sharpened_ece_before": max(found["ece_before"] for found in sharp),
        "worst_sharpened_ece_after": max(found["ece_after"] for found in sharp),
        "lowest_mean_coverage": min(means),
        "highest_mean_coverage": max(means),
    }


def field_figures(
    entry: FieldCalibration, val: FieldData, test: FieldData, options: FitOptions
) -> dict[str, Any]:
    """Return the figures of one field: errors on test, coverage there and over seeds."""
    if not entry.evaluable or test.table is None or val.table is None:
        return {"evaluable": False, "reason": entry.reason, "counts": entry.counts}
    inside, sizes = held(entry, test.table, test.truth)
    return {
        "evaluable": True,
        "kind": "number" if test.values is None else "category",
        "n_fit": entry.n_fit,
        "n_conformal": entry.n_conformal,
        **errors(entry, test.table, test.truth),
        "coverage_on_test": float(inside.mean()),
        "mean_size": float(sizes.mean()),
        "accuracy": _accuracy(test),
        "coverage_over_seeds": over_seeds(val, test, options),
        "sharpened": sharpened(val, test, options),
    }


def errors(entry: FieldCalibration, table: Floats, truth: Floats) -> dict[str, Any]:
    """Return the error of raw and corrected tables, and what the latter may have at best."""
    number = FIELD_VALUES[entry.field] is None
    after = entry.corrected(table)
    return {
        "n": len(truth),
        "method": entry.method,
        "temperature": entry.temperature,
        "ece_before": error_of(table, truth, number=number),
        "ece_after": error_of(after, truth, number=number),
        "ece_if_calibrated": expected_error(after, 1, number=number),
    }


def sharpened(val: FieldData, test: FieldData, options: FitOptions) -> dict[str, Any]:
    """Return the errors when the head had stated its tables raised to the power `SHARPER`."""
    entry = fit_field(_raised(val), options)
    if not entry.evaluable:
        return {"evaluable": False, "reason": entry.reason}
    table = _raised(test).table
    assert table is not None
    inside, _ = held(entry, table, test.truth)
    return {**errors(entry, table, test.truth), "coverage_on_test": float(inside.mean())}


def over_seeds(val: FieldData, test: FieldData, options: FitOptions) -> dict[str, float]:
    """Return mean, least and greatest coverage when val and test are divided anew `SEEDS` times."""
    assert val.table is not None
    assert test.table is not None
    table = np.concatenate([val.table, test.table])
    truth = np.concatenate([val.truth, test.truth])
    shares = []
    for seed in range(SEEDS):
        order = np.random.default_rng([seed, 7]).permutation(len(truth))
        fit, rest = order[: len(val)], order[len(val) :]
        part = _data(val.field, table[fit], truth[fit])
        entry = fit_field(part, options.model_copy(update={"seed": seed}))
        if entry.evaluable:
            shares.append(float(held(entry, table[rest], truth[rest])[0].mean()))
    return {
        "mean": float(np.mean(shares)),
        "least": min(shares),
        "greatest": max(shares),
        "seeds": len(shares),
    }


def _raised(data: FieldData) -> FieldData:
    assert data.table is not None
    sharp = data.table**SHARPER
    return _data(data.field, sharp / sharp.sum(axis=1, keepdims=True), data.truth)


def _data(field: str, table: Floats, truth: Floats) -> FieldData:
    patients = tuple(f"p{i:06d}" for i in range(len(truth)))
    return FieldData(field, patients, truth, truth, table, tuple(truth.tolist()), 0, 0)


def _error(data: FieldData) -> float:
    """Return the error of the tables that the engine states now, with the calibration beside it."""
    assert data.table is not None
    return error_of(data.table, data.truth, number=data.values is None)


def _accuracy(test: FieldData) -> float | None:
    return None if test.values is None else float((test.value == test.truth).mean())


def _of(samples: Sequence[Sample], split: str) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.split == split)


if __name__ == "__main__":
    main()
