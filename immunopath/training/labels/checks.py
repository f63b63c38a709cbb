"""What labels must be before anything is trained on them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from immunopath.domain.base import Frozen
from immunopath.domain.errors import OneClassField
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.samples import Label

_DIGITS: Final = 2


class FieldCounts(Frozen):
    """How often each value of a field stands among the training patients; unknown counted apart."""

    field: str
    known: int
    unknown: int
    values: dict[str, int]
    """Classes with their counts; for a number the count of distinct values at two decimals."""


def count_fields(labels: Iterable[Mapping[str, Label]]) -> tuple[FieldCounts, ...]:
    """Count the labels of all eight fields."""
    labels = tuple(labels)
    return tuple(_count(name, [row.get(name) for row in labels]) for name in FIELD_VALUES)


def require_classes(train: Iterable[Mapping[str, Label]]) -> tuple[FieldCounts, ...]:
    """Return the counts of the training labels; refuse a field that cannot be learned.

    A field of which nothing is known is left alone: it carries no loss. Raises `OneClassField`
    when every known label of a field is the same.
    """
    counts = count_fields(train)
    for field in counts:
        distinct = len(field.values) if FIELD_VALUES[field.field] else field.values["distinct"]
        if field.known and distinct < 2:
            only = next(iter(field.values)) if FIELD_VALUES[field.field] else "one number"
            raise OneClassField(
                f"{field.field}: all {field.known} training patients with a label are {only}; "
                "nothing can be learned of it: add cases, or build the cohort without it "
                f"('immunopath cohort-data build … --without {field.field}')"
            )
    return counts


def _count(name: str, column: list[Label]) -> FieldCounts:
    known = [value for value in column if value is not None]
    allowed = FIELD_VALUES[name]
    if allowed is None:
        values = {"distinct": len({round(float(v), _DIGITS) for v in known})}
    else:
        found = Counter(str(v) for v in known)
        values = {value: found[value] for value in allowed if found[value]}
    return FieldCounts(
        field=name, known=len(known), unknown=len(column) - len(known), values=values
    )
