"""Placing whole groups (tissue-source sites) into splits so that every stratum keeps its share.

Greedy with local search: largest groups first, each where it costs least, then single moves and
exchanges of two groups until nothing gets better. Deterministic for a generator's state.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Places = np.ndarray[Any, np.dtype[np.int64]]

_ROUNDS: Final = 20
"""Most rounds over all groups; three or four are usual."""
_GAIN: Final = 1e-9
_EMPTY: Final = 1e9
"""Cost of an empty split: any other fault is smaller, however large the sites are."""


def place_groups(table: "Array", shares: Sequence[float], rng: "np.random.Generator") -> list[int]:
    """Return the split of each group.

    table: groups × strata, counts of patients; shares: of each split, summing to 1. A split with
    share 0 gets no group. The cost is the squared distance from the wanted number of patients of
    each split and stratum, relative to that number.
    """
    import numpy as np

    target = np.outer(np.array(shares), table.sum(axis=0))
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    splits = [k for k, share in enumerate(shares) if share > 0]
    found = np.zeros_like(target)
    place = np.full(len(table), -1)
    for group in order:
        costs = {k: _cost(_moved(found, table[group], None, k), target, 0) for k in splits}
        place[group] = min(splits, key=lambda k: (costs[k], k))
        found[place[group]] += table[group]
    for _ in range(_ROUNDS):
        before = _cost(found, target)
        for group in order:
            found = _move(found, table, place, target, int(group), splits)
        for group in order:
            found = _exchange(found, table, place, target, int(group))
        if _cost(found, target) > before - _GAIN:
            break
    return [int(k) for k in place]


def _cost(found: "Array", target: "Array", empty: float = _EMPTY) -> float:
    """Squared relative distance from the target, plus `empty` for each split without patients."""
    import numpy as np

    missing = ((found.sum(axis=1) == 0) & (target.sum(axis=1) > 0)).sum()
    return float((((found - target) ** 2) / np.maximum(target, 1.0)).sum() + empty * missing)


def _moved(found: "Array", row: "Array", source: int | None, goal: int) -> "Array":
    moved = found.copy()
    if source is not None:
        moved[source] -= row
    moved[goal] += row
    return moved


def _move(  # noqa: PLR0913, PLR0917 - the state of the search
    found: "Array",
    table: "Array",
    place: "Places",
    target: "Array",
    group: int,
    splits: Sequence[int],
) -> "Array":
    """Move one group to its cheapest split; returns the counts after it."""
    now = int(place[group])
    options = {k: _moved(found, table[group], now, k) for k in splits}
    costs = {k: _cost(option, target) for k, option in options.items()}
    best = min(splits, key=lambda k: (costs[k], k))
    if costs[best] < costs[now] - _GAIN:
        place[group] = best
        return options[best]
    return found


def _exchange(
    found: "Array", table: "Array", place: "Places", target: "Array", group: int
) -> "Array":
    """Exchange a group with the one of another split that lowers the cost most, if any does."""
    now = int(place[group])
    best, best_cost, best_found = -1, _cost(found, target) - _GAIN, found
    for other in range(len(table)):
        there = int(place[other])
        if there == now:
            continue
        tried = _moved(_moved(found, table[group], now, there), table[other], there, now)
        cost = _cost(tried, target)
        if cost < best_cost:
            best, best_cost, best_found = other, cost, tried
    if best >= 0:
        place[group], place[best] = place[best], place[group]
    return best_found
