"""Paired differences: two sets of answers on the same patients, resampled together."""

from collections.abc import Mapping

import numpy as np

from immunopath.domain.base import Frozen
from immunopath.training.evaluation.resample import Floats, estimate
from immunopath.training.evaluation.score import Drawn, why_not_evaluable


class Difference(Frozen):
    """A metric of one set minus that of another, over the `n` patients that both answered.

    one, other: the metric of each on these patients; low, high: 95 % interval of the paired
    bootstrap; p: two-sided share of resamples on the other side of 0 (at least 1 / draws).
    """

    against: str
    field: str
    metric: str
    n: int
    one: float
    other: float
    value: float
    low: float | None
    high: float | None
    p: float | None


def differences(
    one: Mapping[str, Drawn], other: Mapping[str, Drawn], against: str
) -> tuple[Difference, ...]:
    """Return the differences of every metric that both sets have, field by field.

    Both are drawn by the same plan, so that patients are resampled together.
    """
    found: list[Difference] = []
    for name, mine in one.items():
        theirs = set(other[name].data.patients)
        common = [patient for patient in mine.data.patients if patient in theirs]
        a, b = mine.of(common), other[name].of(common)
        if not common or why_not_evaluable(a.data):
            continue
        for metric in a.rows.keys() & b.rows.keys():
            found += _difference(against, name, metric, len(common), a.rows, b.rows)
    order = {name: i for i, name in enumerate(one)}
    return tuple(sorted(found, key=lambda d: (order[d.field], d.metric)))


def _difference(  # noqa: PLR0913, PLR0917 - names of one row
    against: str,
    field: str,
    metric: str,
    n: int,
    rows_a: Mapping[str, Floats],
    rows_b: Mapping[str, Floats],
) -> list[Difference]:
    a, b = rows_a[metric], rows_b[metric]
    apart = a - b
    if not np.isfinite(apart[0]):
        return []
    summary = estimate(apart)
    drawn = apart[1:][np.isfinite(apart[1:])]
    p = None
    if summary.low is not None:
        below, above = float((drawn <= 0).mean()), float((drawn >= 0).mean())
        p = float(min(1.0, max(2 * min(below, above), 1 / len(drawn))))
    return [
        Difference(
            against=against,
            field=field,
            metric=metric,
            n=n,
            one=float(a[0]),
            other=float(b[0]),
            value=summary.value,
            low=summary.low,
            high=summary.high,
            p=p,
        )
    ]
