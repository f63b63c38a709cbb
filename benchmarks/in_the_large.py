"""Do tables say of every class what share it has? Calibration in the large."""

from typing import Any

import numpy as np

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.predictions import PatientAnswer
from immunopath.training.samples import Sample


def splits_anew(samples: tuple[Sample, ...], deal: int) -> list[Sample]:
    """Return the samples with their splits dealt out anew; deal 0 leaves them as they are."""
    order = np.random.default_rng(deal).permutation(len(samples)) if deal else range(len(samples))
    return [
        sample.model_copy(update={"split": samples[place].split})
        for sample, place in zip(samples, order, strict=True)
    ]


def in_the_large(pairs: list[tuple[Sample, PatientAnswer]]) -> dict[str, dict[str, Any]]:
    """Return by class field and value what the tables say on average and what was seen.

    said: mean probability; seen: share of labels; z: seen minus said in standard errors of tables
    that tell the truth (patients who occur twice are counted twice, so it is a little too large).
    """
    report: dict[str, dict[str, Any]] = {}
    for field, values in FIELD_VALUES.items():
        known = [
            (answer.fields[field].probabilities, sample.label(field))
            for sample, answer in pairs
            if sample.label(field) is not None
            and field in answer.fields
            and answer.fields[field].probabilities
        ]
        for value in values or ():
            said = np.array([table[value] for table, _ in known])
            seen = np.array([label == value for _, label in known])
            if len(said):
                error = float(np.sqrt((said * (1 - said)).sum())) / len(said)
                gap = float(seen.mean() - said.mean())
                report.setdefault(field, {})[value] = {
                    "said": round(float(said.mean()), 4),
                    "seen": round(float(seen.mean()), 4),
                    "z": round(gap / error, 2) if error > 0 else None,
                    "n": int(seen.sum()),
                }
    return report
