"""How often labels and answers of one field occur: counts, no figures."""

from collections import Counter
from typing import Final

import numpy as np

from immunopath.training.evaluation import class_metrics as classes
from immunopath.training.evaluation.collect import FieldData, tenth_of

MIN_POSITIVES: Final = 10
"""A class with fewer answered patients cannot be evaluated; a field needs two that can."""


def tally(data: FieldData, given: tuple[object, ...]) -> dict[str, int]:
    """Return how often each class occurs in contract order; numbers are counted in tenths."""
    if data.values is not None:
        counted = Counter(given)
        return {value: counted[value] for value in data.values}
    tenths = Counter(tenth_of(float(str(v))) for v in given)
    return {f"{k / 10:.1f}-{(k + 1) / 10:.1f}": tenths[k] for k in range(10)}


def calls_of(data: FieldData) -> dict[str, int]:
    """Return how often each class was answered; numbers are counted in tenths."""
    if data.values is None:
        return tally(data, tuple(data.value.tolist()))
    return tally(data, tuple(data.values[int(code)] for code in data.value))


def small_classes(data: FieldData) -> dict[str, int]:
    """Return the answered patients of every class that occurs but in fewer than `MIN_POSITIVES`."""
    if data.values is None:
        return {}
    counted = Counter(data.values[int(code)] for code in data.truth)
    return {value: counted[value] for value in data.values if 0 < counted[value] < MIN_POSITIVES}


def confusion_of(data: FieldData) -> tuple[tuple[int, ...], ...]:
    """Return the confusion matrix: rows truth, columns answers; empty for numbers."""
    if data.values is None or not len(data):
        return ()
    truth, called = data.truth.astype(np.int64), data.value.astype(np.int64)
    table = classes.confusion(truth, called, len(data.values), np.ones((1, len(data))))[0]
    return tuple(tuple(int(cell) for cell in row) for row in table)
