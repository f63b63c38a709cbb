"""Tables over 0.00 to 1.00 from the distributions of digits."""

import itertools

import pytest
from tiny_gemma import tokenizer

from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.decoding.numbers import (
    cell_name,
    cell_of,
    number_table,
    option_masses,
    summarise,
)
from immunopath.models.foundation.decoding.slots import Slot, plan_answer

SLOT = plan_answer(tokenizer(), AnswerFormat()).slots[3]


def uniform(slot: Slot, nodes: tuple[int, ...]) -> dict[int, dict[int, float]]:
    """Return equal chances at every given node."""
    return {
        n: dict.fromkeys(slot.nodes[n].children, 1 / len(slot.nodes[n].children)) for n in nodes
    }


def steer(**odds: float) -> dict[int, dict[int, float]]:
    """Return choices over the nodes read ahead: weight of each beginning, `one` for 1.0.

    Names are beginnings with an underscore for the point (``_3`` is 0.3, ``_3_end`` ends there).
    """
    choices = {}
    for node in (0, *SLOT.ahead):
        weights = {}
        for token, child in SLOT.nodes[node].children.items():
            reached = SLOT.nodes[child]
            text = reached.prefix
            name = "one" if text.startswith("1") else "_" + text[2:]
            weights[token] = odds.get(name + ("" if reached.children else "_end"), 0.0) + 1e-15
        total = sum(weights.values())
        choices[node] = {token: w / total for token, w in weights.items()}
    return choices


def test_a_table_sums_to_one() -> None:
    table = number_table(SLOT, uniform(SLOT, (0, *SLOT.ahead)))
    assert len(table) == 101
    assert sum(table) == pytest.approx(1, abs=1e-12)
    assert min(table) > 0


def test_uniform_digits_give_the_known_table() -> None:
    """Half for 1.0; then a tenth per digit; after it eleven ways on (ten digits or the end)."""
    table = number_table(SLOT, uniform(SLOT, (0, *SLOT.ahead)))
    assert table[100] == pytest.approx(0.5)
    assert table[37] == pytest.approx(0.5 / 10 / 11)
    assert table[40] == pytest.approx(2 * 0.5 / 10 / 11), "0.4 ended, and 0.40 going on"
    assert table[0] == pytest.approx(2 * 0.5 / 10 / 11), "0.0 ended, and 0.00 going on"


def test_early_termination_counts_as_its_own_value() -> None:
    table = number_table(SLOT, steer(_=1, _4=1, _4_end=3, _41=1))
    assert table[40] == pytest.approx(0.75)
    assert table[41] == pytest.approx(0.25)
    assert summarise(table).median == 0.4


def test_one_is_its_own_cell() -> None:
    table = number_table(SLOT, steer(one=1))
    assert table[100] == pytest.approx(1)
    assert summarise(table).median == 1.0


def test_reading_stops_at_unread_nodes_and_loses_nothing() -> None:
    masses = option_masses(SLOT, uniform(SLOT, (0, *SLOT.ahead)))
    stops = {SLOT.nodes[node].prefix for node in masses}
    assert {"0.37", "0.3", "1.0"} <= stops
    assert sum(masses.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("0.0", 0),
        ("0.4", 40),
        ("0.04", 4),
        ("0.37", 37),
        ("0.371", 37),
        ("0.999", 99),
        ("1.0", 100),
    ],
)
def test_cells(text: str, cell: int) -> None:
    assert cell_of(text) == cell
    assert cell_name(cell) == f"{cell / 100:.2f}"


def test_summary_of_a_known_table() -> None:
    table = [0.0] * 101
    for cell, mass in {10: 0.05, 20: 0.25, 30: 0.40, 60: 0.25, 90: 0.05}.items():
        table[cell] = mass
    summary = summarise(table)
    assert summary.median == 0.3
    assert summary.expectation == pytest.approx(0.05 * 0.1 + 0.05 + 0.12 + 0.15 + 0.045)
    assert summary.interval == (0.1, 0.6)
    assert summarise(table, coverage=0.95).interval == (0.1, 0.9)


def test_summary_ignores_the_scale_of_a_table() -> None:
    table = [float(i) for i in range(101)]
    scaled = summarise([mass * 7 for mass in table])
    plain = summarise(table)
    assert scaled.median == plain.median
    assert scaled.interval == plain.interval
    assert scaled.expectation == pytest.approx(plain.expectation)


def test_median_is_a_quantile_of_what_the_digits_say() -> None:
    """Against plain enumeration over two-digit beginnings."""
    odds = {f"_{d}": float(d + 1) for d in range(10)}
    odds |= {f"_{a}{b}": float(b + 1) for a, b in itertools.product(range(10), range(10))}
    table = number_table(SLOT, steer(_=1, **odds))
    expected = [(a + 1) / 55 * (b + 1) / 55 for a, b in itertools.product(range(10), range(10))]
    assert table[:100] == pytest.approx(expected, abs=1e-9)
