"""A number in [0, 1] read as a distribution: from digits to a table, a median and an interval.

The table has 101 cells, ``0.00`` to ``1.00``. A cell holds every number that begins with its
digits: ``0.37`` stands for 0.37 and 0.371 to 0.379, ``0.40`` for 0.4 (ended after one digit) and
for 0.401 to 0.409. The third digit is not read for all hundred beginnings, so median, expectation
and interval are those of the cells' lower ends: exact for numbers of two digits, and at most 0.009
below the truth where a third one follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from immunopath.models.foundation.decoding.slots import TABLE_DECIMALS, Slot

CELLS: Final[int] = 10**TABLE_DECIMALS + 1
COVERAGE = 0.90


@dataclass(frozen=True)
class NumberSummary:
    """Median, expectation and the central interval of a table; all in [0, 1]."""

    median: float
    expectation: float
    interval: tuple[float, float]


def option_masses(slot: Slot, choices: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
    """Return the probability of every node at which reading stopped; they sum to 1.

    choices: node -> (next token -> probability among the allowed ones), for the nodes that were
    read. A node with one child needs no reading. Reading stops at leaves and at unread nodes.
    """
    ends: dict[int, float] = {}
    stack = [(0, 1.0)]
    while stack:
        index, mass = stack.pop()
        children = slot.nodes[index].children
        if len(children) == 1:
            stack.append((next(iter(children.values())), mass))
        elif index in choices:
            stack += [(child, mass * choices[index][token]) for token, child in children.items()]
        else:
            ends[index] = mass
    return ends


def number_table(slot: Slot, choices: Mapping[int, Mapping[int, float]]) -> list[float]:
    """Return the probabilities of the 101 cells of a number slot; see `option_masses`."""
    table = [0.0] * CELLS
    for index, mass in option_masses(slot, choices).items():
        table[cell_of(slot.nodes[index].prefix)] += mass
    return table


@cache
def cell_of(text: str) -> int:
    """Return the cell of a number or of the beginning of one: ``0.4`` 40, ``0.371`` 37, ``1.0``
    100."""
    whole, _, digits = text.partition(".")
    return int(whole) * (CELLS - 1) + int((digits + "0" * TABLE_DECIMALS)[:TABLE_DECIMALS])


def cell_name(cell: int) -> str:
    """Return the name of a cell, ``0.00`` to ``1.00``."""
    return f"{cell / (CELLS - 1):.{TABLE_DECIMALS}f}"


def summarise(table: Sequence[float], coverage: float = COVERAGE) -> NumberSummary:
    """Return median, expectation and central interval of a table of 101 probabilities."""
    total = sum(table)
    tail = (1 - coverage) / 2
    steps = CELLS - 1
    return NumberSummary(
        median=_quantile(table, 0.5 * total) / steps,
        expectation=sum(cell * mass for cell, mass in enumerate(table)) / total / steps,
        interval=(
            _quantile(table, tail * total) / steps,
            _quantile(table, (1 - tail) * total) / steps,
        ),
    )


def _quantile(table: Sequence[float], mass: float) -> int:
    """Return the first cell up to which at least `mass` lies (within rounding)."""
    reached = 0.0
    for cell, share in enumerate(table):
        reached += share
        if reached >= mass - 1e-12:
            return cell
    return len(table) - 1
