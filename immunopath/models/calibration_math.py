"""The arithmetic of calibrated tables, the same for fitting and for serving.

Tables are rows: (n, k) float64, each row sums to 1. Of a number the k columns are `CELLS`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from immunopath.domain.prediction import GRID

Rows = NDArray[np.float64]
Row = NDArray[np.float64]
Knots = tuple[tuple[float, float], ...]

CELLS: Final[Row] = np.array([float(text) for text in GRID])
"""The numbers of `GRID`, ascending from 0 to 1."""
_EDGES: Final = np.concatenate([CELLS[:1], (CELLS[:-1] + CELLS[1:]) / 2, CELLS[-1:]])
FLOOR: Final = 1e-6
"""Least probability before the logarithm: tables are reported with six decimals, so that less than
half of it reads as zero, and a temperature could never soften a table of zeros and a one."""
SLACK: Final = 1e-9
"""Below the last digit of any table: a comparison must not hang on the order of a sum."""


def tempered(rows: Rows, temperature: float, floor: float = FLOOR) -> Rows:
    """Return p^(1/T) normalised, (n, k): the softmax of log-probabilities over `temperature` (> 0).

    Guo et al. 2017. The order of the values never changes; T > 1 softens, T < 1 sharpens. floor:
    see `FLOOR`; 0 for the hundred cells of a number, whose floors together would outweigh the peak:
    there a cell without mass stays without.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(rows, floor)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def curved(rows: Rows, knots: Rows) -> Rows:
    """Return the table of a binary field by a monotone curve, (n, 2).

    knots: (m, 2) of P(first value) before and after, ascending; straight lines between them, and
    the outermost value beyond them (isotonic regression, Zadrozny and Elkan 2002).
    """
    first = np.interp(rows[:, 0], knots[:, 0], knots[:, 1])
    return np.stack([first, 1 - first], axis=1)


def corrected(rows: Rows, temperature: float | None, curve: Knots, *, number: bool) -> Rows:
    """Return tables after a field's correction, (n, k): by its curve, else by its temperature."""
    if curve:
        return curved(rows, np.asarray(curve, dtype=np.float64))
    return rows if temperature is None else tempered(rows, temperature, 0.0 if number else FLOOR)


def mass_above(rows: Rows) -> Rows:
    """Return for every value the mass of those ranked strictly above it, (n, k), in [0, 1].

    The APS score (Romano et al. 2020) without the value's own mass and without randomisation, so
    that the most probable value scores 0. Of equals the first listed ranks higher.
    """
    order = np.argsort(-rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    above = np.empty_like(rows)
    np.put_along_axis(above, order, np.clip(before, 0, 1), axis=1)
    return above


def scores(rows: Rows, method: str) -> Rows:
    """Return how strange each value would be as the truth, (n, k) in [0, 1]: LAC or APS.

    ``lac``: 1 - p (Sadinle et al. 2019); ``aps``: `mass_above`.
    """
    return mass_above(rows) if method == "aps" else 1 - rows


def members(rows: Rows, method: str, threshold: float) -> NDArray[np.bool_]:
    """Return which values belong to the prediction set, (n, k).

    The most probable value always does, so that no set is empty; that only adds coverage.
    """
    inside = scores(rows, method) <= threshold + SLACK
    inside[np.arange(len(rows)), rows.argmax(axis=1)] = True
    return np.asarray(inside, dtype=np.bool_)


def levels(rows: Rows, level: float) -> Row:
    """Return the quantile of number tables at `level`, (n,), in [0, 1].

    The mass of a cell is spread evenly to half way to its neighbours, so that a quantile is a
    number of its own and not one of a hundred.
    """
    reached = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
    cell = np.clip((reached < level - SLACK).sum(axis=1) - 1, 0, len(CELLS) - 1)
    row = np.arange(len(rows))
    mass = np.maximum(rows[row, cell], 1e-300)
    share = np.clip((level - reached[row, cell]) / mass, 0, 1)
    return np.asarray(_EDGES[cell] + share * (_EDGES[cell + 1] - _EDGES[cell]), dtype=np.float64)


def cells_at(rows: Rows, level: float) -> Row:
    """Return the least cell whose cumulated mass reaches `level`, (n,)."""
    below = (np.cumsum(rows, axis=1) < level - SLACK).sum(axis=1)
    return np.asarray(CELLS[np.minimum(below, len(CELLS) - 1)], dtype=np.float64)


def medians(rows: Rows) -> Row:
    """Return an engine's value of each number table, (n,)."""
    return cells_at(rows, 0.5)


def ranges(rows: Rows, method: str, coverage: float) -> tuple[Row, Row]:
    """Return the interval of each number table before the conformal margin: low and high, (n,).

    ``cqr``: the table's own quantiles (1 ± coverage) / 2 (Romano et al. 2019); ``residual``: its
    median twice.
    """
    if method == "residual":
        middle = medians(rows)
        return middle, middle
    return levels(rows, (1 - coverage) / 2), levels(rows, (1 + coverage) / 2)


def intervals(rows: Rows, method: str, coverage: float, margin: float) -> tuple[Row, Row]:
    """Return `ranges` widened by `margin` on both sides and kept within [0, 1]: low, high, (n,).

    The median always lies inside, also where a negative margin would leave nothing; that only adds
    coverage.
    """
    low, high = ranges(rows, method, coverage)
    middle = medians(rows)
    low, high = np.minimum(low - margin, middle), np.maximum(high + margin, middle)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)
