"""Simulated answers whose calibration is known: true tables made too sure of themselves."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from immunopath.domain.prediction import FIELD_VALUES, GRID
from immunopath.models.calibration_math import CELLS
from immunopath.training.evaluation.collect import FieldData
from immunopath.training.predictions import (
    FieldAnswer,
    PatientAnswer,
    PredictionSet,
    write_predictions,
)
from immunopath.training.samples import Sample, write_samples

DIGEST = "d" * 64


def categories(n: int, k: int, seed: int, sure: float) -> tuple[Any, Any]:
    """Tables (n, k) raised to the power `sure`, and codes drawn from the tables before."""
    rng = np.random.default_rng(seed)
    true = np.exp(1.5 * rng.normal(size=(n, k)))
    true /= true.sum(axis=1, keepdims=True)
    codes = (rng.random((n, 1)) > np.cumsum(true, axis=1)[:, :-1]).sum(axis=1)
    stated = true**sure
    return stated / stated.sum(axis=1, keepdims=True), codes.astype(np.float64)


def numbers(n: int, seed: int, sure: float) -> tuple[Any, Any]:
    """Bells over the grid, too narrow by sqrt(sure), and numbers drawn from the wide ones."""
    rng = np.random.default_rng(seed)
    middle, width = rng.uniform(0.25, 0.75, n), rng.uniform(0.05, 0.12, n)
    truth = np.clip(middle + width * rng.normal(size=n), 0, 1)
    steps = (CELLS - middle[:, None]) / width[:, None]
    stated = np.exp(-0.5 * sure * steps**2)
    return stated / stated.sum(axis=1, keepdims=True), truth


def answered(field: str, n: int, seed: int, sure: float = 2.5) -> FieldData:
    """The answers of one field as evaluation collects them."""
    values = FIELD_VALUES[field]
    if values is None:
        table, truth = numbers(n, seed, sure)
    else:
        table, truth = categories(n, len(values), seed, sure)
    return data_of(field, table, truth)


def data_of(field: str, table: Any, truth: Any) -> FieldData:
    """Tables and truths as one field's data; the value is not used by any calibration."""
    patients = tuple(f"p{i:05d}" for i in range(len(truth)))
    labels = tuple(_word(field, code) for code in truth)
    return FieldData(field, patients, truth, truth, table, labels, 0, 0)


def write_case(
    folder: Path, n: int = 200, splits: tuple[str | None, ...] = ("val",), **changes: Any
) -> tuple[Path, Path]:
    """Write predictions and samples of n patients, the splits in turn; MSI-H is rare."""
    fields = {name: answered(name, n, seed) for seed, name in enumerate(FIELD_VALUES)}
    rare = np.tile([0.01, 0.99], (n, 1))
    fields["msi_status"] = data_of("msi_status", rare, (np.arange(n) >= 2).astype(np.float64))
    samples, answers = [], []
    for i in range(n):
        who = f"p{i:05d}"
        samples.append(
            Sample.model_validate({
                "patient_id": who,
                "split": splits[i % len(splits)],
                "labels": {name: _word(name, data.truth[i]) for name, data in fields.items()},
                "origin": "synthetic",
            })
        )  # fmt: skip
        said = {name: _answer(name, data.table[i]) for name, data in fields.items()}  # type: ignore[index]
        answers.append(PatientAnswer(patient_id=who, fields=said, n_tiles=4 + i % 3))
    found = PredictionSet(engine="simulated", digest=DIGEST, answers=tuple(answers))
    write_predictions(folder / "predictions.json", found.model_copy(update=changes))
    write_samples(folder / "samples.jsonl", samples)
    return folder / "predictions.json", folder / "samples.jsonl"


def write_checkpoint(folder: Path) -> Path:
    """Write a folder that looks like an adapter of a base that is not here."""
    folder.mkdir()
    (folder / "immunopath.json").write_text("{}")
    config = {"peft_type": "LORA", "base_model_name_or_path": "nobody/no-such-model"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def _word(name: str, truth: float) -> str | float:
    values = FIELD_VALUES[name]
    return round(float(truth), 3) if values is None else values[int(truth)]


def _answer(name: str, row: Any) -> FieldAnswer:
    names = FIELD_VALUES[name] or GRID
    table = {value: round(float(p), 6) for value, p in zip(names, row, strict=True)}
    best = max(table, key=lambda value: table[value])
    value = best if FIELD_VALUES[name] else float(best)
    return FieldAnswer(value=value, probabilities=table)
