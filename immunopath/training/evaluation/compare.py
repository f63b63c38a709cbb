"""Paired differences: two sets of answers on the same patients, resampled together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from immunopath.domain.base import Frozen
from immunopath.training.evaluation.resample import Floats, estimate
from immunopath.training.evaluation.score import PRIMARY, Drawn, why_not_evaluable


class Difference(Frozen):
    """A metric of one set minus that of another, over the `n` patients that both answered.

    one, other: the metric of each on these patients; low, high: 95 % interval of the paired
    bootstrap; p: two-sided share of resamples on the other side of 0 (at least 1 / draws), of this
    row alone; p_holm: the same adjusted after Holm for the `family` tests of which it is one
    (`with_holm`), None without a p.
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
    p_holm: float | None = None
    family: int = 0


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
    return with_holm(sorted(found, key=lambda d: (order[d.field], d.metric)))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted after Holm (1979), in the order given.

    The i-th smallest of m is multiplied by m - i + 1, never falls below the one before it and never
    exceeds 1. It holds whatever the tests have to do with each other. (scipy adjusts for the false
    discovery rate only.)
    """
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = least
    return tuple(adjusted)


def with_holm(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return differences against one set with the p of their family.

    A family is what is read together: the metrics by which the fields are summed up
    (`score.PRIMARY`), one per field; and of every other metric all fields that have it.
    """
    families: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(found):
        if row.p is not None:
            families["primary" if row.metric in PRIMARY.values() else row.metric].append(at)
    rows = list(found)
    for places in families.values():
        adjusted = holm([rows[at].p or 0.0 for at in places])
        for at, p in zip(places, adjusted, strict=True):
            rows[at] = rows[at].model_copy(update={"p_holm": p, "family": len(places)})
    return tuple(rows)


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
