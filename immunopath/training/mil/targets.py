"""Labels as arrays: what can be trained, what is unknown, what weighs how much."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import FIELD_VALUES, CutPoints
from immunopath.domain.words import counted
from immunopath.models.foundation.medgemma.medgemma_fields import RNA_QUANTITIES
from immunopath.models.mil.record import UNDECLARED, FieldRecord
from immunopath.training.labels.recipe import LabelRecipe
from immunopath.training.mil.settings import MilSettings
from immunopath.training.samples import Sample

LEAST_CASES: Final = 5
"""Training patients that a class needs to count, and of them at least two classes."""
LEAST_NUMBERS: Final = 10
HEAVIEST: Final = 10.0
"""No class weighs more than this times the mean."""


@dataclass(frozen=True)
class Target:
    """One field of a set of patients: `labels` (n,), a class index or a number, NaN = unknown."""

    name: str
    labels: npt.NDArray[np.float64]

    @property
    def values(self) -> tuple[str, ...] | None:
        """Return the classes, None for a number."""
        return FIELD_VALUES[self.name]


def targets_of(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, Target]:
    """Return the labels of these fields."""
    return {name: Target(name, _labels(samples, name)) for name in names}


def _labels(samples: Sequence[Sample], name: str) -> npt.NDArray[np.float64]:
    values = FIELD_VALUES[name]
    found = np.full(len(samples), np.nan)
    for index, sample in enumerate(samples):
        label = sample.label(name)
        if label is not None:
            found[index] = float(label) if values is None else values.index(str(label))
    return found


def field_records(
    train: Sequence[Sample], settings: MilSettings, recipe: LabelRecipe | None = None
) -> dict[str, FieldRecord]:
    """Return what each field's training labels allow; `recipe`: what made them, if that is known.

    Raises `CaseFileError` when a field that was asked for by name, or every field, cannot be
    trained.
    """
    origin, stated = train[0].origin, settings.quantity
    if recipe is not None:
        stated = recipe.quantity.value
        if settings.quantity not in {"", stated}:
            raise CaseFileError(
                f"quantity {settings.quantity!r}: the labels' own constants say {stated!r}; leave "
                "it out"
            )
    records = {
        name: _record(train, name, settings, _quantity(name, origin, stated))
        for name in FIELD_VALUES
    }
    wanted = settings.fields or tuple(records)
    refused = [name for name in wanted if not records[name].trainable]
    if refused and (settings.fields or len(refused) == len(records)):
        raise CaseFileError(
            f"{refused[0]} cannot be trained: {records[refused[0]].reason}"
            + ("" if settings.fields else "; nor can any other field")
        )
    return records


def _quantity(name: str, origin: str, stated: str) -> str:
    if name.startswith("til_") and (stated or origin == "rna"):
        stem = stated or UNDECLARED
        return stem if name == "til_fraction" else f"{stem}_class"
    return RNA_QUANTITIES[name] if origin == "rna" else f"{origin}_{name}"


def _record(
    train: Sequence[Sample], name: str, settings: MilSettings, quantity: str
) -> FieldRecord:
    known = [label for s in train if (label := s.label(name)) is not None]
    values = FIELD_VALUES[name]
    if values is None:
        numbers = [float(label) for label in known]
        reason = _why_no_number(numbers)
        mean = float(np.mean(numbers)) if numbers else None
        counts: dict[str, int] = {}
    else:
        tally = Counter(str(label) for label in known)
        counts = {value: tally[value] for value in values}
        reason, mean = _why_no_class(counts), None
    if not reason and settings.fields and name not in settings.fields:
        reason = "it was left out on purpose"
    return FieldRecord(
        quantity=quantity,
        trainable=not reason,
        reason=reason,
        n=len(known),
        counts=counts,
        mean=mean,
    )


def _why_no_number(numbers: Sequence[float]) -> str:
    if len(numbers) < LEAST_NUMBERS:
        return (
            f"{counted(len(numbers), 'training patient has', 'training patients have')} a label, "
            f"{LEAST_NUMBERS} are needed"
        )
    if max(numbers) - min(numbers) < 1e-6:
        return f"all {len(numbers)} training labels are {numbers[0]:g}"
    return ""


def _why_no_class(counts: Mapping[str, int]) -> str:
    if not any(counts.values()):
        return "no training patient has a label"
    if max(counts.values()) == sum(counts.values()):
        only = max(counts, key=lambda value: counts[value])
        return f"all {counts[only]} training labels are {only}"
    if sum(n >= LEAST_CASES for n in counts.values()) < 2:
        shown = ", ".join(f"{n} {value}" for value, n in counts.items())
        return f"two classes with {LEAST_CASES} training patients are needed, there are {shown}"
    return ""


def class_weights(target: Target, balance: float) -> npt.NDArray[np.float64]:
    """Return a loss weight per class: as (mean count / count) to the power `balance`.

    They are cut at 10 times the mean and then scaled so that a patient weighs 1 on average; a class
    without cases weighs as an average one. The weights change what the network learns from
    frequencies to a mixture; `log(weights)` is taken from its logits afterwards, so that its tables
    are probabilities under the frequencies of the training split.
    """
    count = np.array(
        [np.sum(target.labels == k) for k in range(len(target.values or ()))], dtype=np.float64
    )
    seen = count > 0
    weights = np.ones_like(count)
    weights[seen] = np.minimum((count[seen].mean() / count[seen]) ** balance, HEAVIEST)
    weights[seen] *= count.sum() / (weights * count).sum()
    return weights


def cut_points_of(samples: Sequence[Sample], recipe: LabelRecipe | None = None) -> CutPoints | None:
    """Return where labels cut ``til_fraction`` into ``til_density``.

    By the recipe of the labels; without one from the labels themselves: midway between classes
    that do not overlap, None when they do or one is missing.
    """
    if recipe is not None:
        return recipe.constants.cut_points(recipe.variant)
    return _seen_cut_points(samples)


def _seen_cut_points(samples: Sequence[Sample]) -> CutPoints | None:
    spans: dict[str, list[float]] = {"low": [], "moderate": [], "high": []}
    for sample in samples:
        share, density = sample.label("til_fraction"), sample.label("til_density")
        if share is not None and density is not None:
            spans[str(density)].append(float(share))
    if not all(spans.values()):
        return None
    low = (max(spans["low"]), min(spans["moderate"]))
    high = (max(spans["moderate"]), min(spans["high"]))
    if low[0] >= low[1] or high[0] >= high[1]:
        return None
    return CutPoints(low=round(sum(low) / 2, 4), high=round(sum(high) / 2, 4))
