"""Cohorts and answers whose figures are known."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.evaluation.baselines import grid_table
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet
from immunopath.training.samples import Label, Sample, Split

DENSITY = ("high", "moderate", "low")
Origin = Literal["rna", "synthetic", "user"]


def cohort(n: int = 60, seed: int = 0, origin: Origin = "synthetic") -> tuple[Sample, ...]:
    """`n` patients of each split; labels follow one hidden score, MSI-H is rare."""
    rng = np.random.default_rng(seed)
    splits: tuple[Split, ...] = ("train", "val", "test")
    found = []
    for i in range(3 * n):
        score = float(rng.beta(2, 3))
        labels: dict[str, Label] = {
            "cd274_expression": "high" if score + rng.normal(0, 0.1) > 0.4 else "low",
            "msi_status": "MSI-H" if i % (n // 2) == 0 else "MSS",
            "tme_subtype": ("D", "F", "IE/F", "IE")[min(int(score * 5), 3)],
            "til_fraction": round(score, 3),
            "til_density": DENSITY[0 if score > 0.5 else 1 if score > 0.3 else 2],
            "immune_phenotype": "inflamed" if score > 0.45 else "desert",
            "immune_score": round(float(np.clip(score + rng.normal(0, 0.05), 0, 1)), 3),
        }
        found.append(
            Sample(
                patient_id=f"P{i:04d}",
                site="ABC"[i % 3],
                cancer_type=("LUAD", "LUSC")[i % 2],
                split=splits[i // n],
                labels=labels,
                origin=origin,
            )
        )
    return tuple(found)


def seeing(
    samples: Sequence[Sample], noise: float = 0.05, seed: int = 1, control: str = "none"
) -> PredictionSet:
    """A predictor that knows the truth but for noise; with tables."""
    rng = np.random.default_rng(seed)
    answers = []
    for sample in samples:
        fields = {}
        for name, values in FIELD_VALUES.items():
            truth = sample.label(name)
            if truth is None:
                continue
            if values is None:
                draws = np.clip(
                    float(truth) + rng.normal(0, noise) + rng.normal(0, noise, 50), 0, 1
                )
                table = grid_table(draws)
                fields[name] = FieldAnswer(value=float(np.median(draws)), probabilities=table)
                continue
            logits = np.array([2.0 * (value == truth) for value in values])
            logits += rng.normal(0, 10 * noise, len(values))
            p = np.exp(logits) / np.exp(logits).sum()
            table = dict(zip(values, map(float, p), strict=True))
            fields[name] = FieldAnswer(
                value=max(table, key=lambda v: table[v]), probabilities=table
            )
        answers.append(PatientAnswer(patient_id=sample.patient_id, fields=fields, n_tiles=4))
    return PredictionSet(engine="seeing", digest="s", control=control, answers=tuple(answers))


def same(samples: Sequence[Sample], control: str = "none", **values: Label) -> PredictionSet:
    """A predictor with one answer for everybody, with certainty for classes."""
    fields = {}
    for name, value in values.items():
        table = {v: float(v == value) for v in FIELD_VALUES[name] or ()}
        fields[name] = FieldAnswer(value=value, probabilities=table)
    return PredictionSet(
        engine="same",
        digest="c",
        control=control,
        answers=tuple(PatientAnswer(patient_id=s.patient_id, fields=fields) for s in samples),
    )


def of_split(samples: Sequence[Sample], split: str) -> list[Sample]:
    """The samples of one split."""
    return [sample for sample in samples if sample.split == split]
