"""From the choices read in a slot to its table, value and masses."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from immunopath.models.foundation.decoding.decoded import OFF_SCHEMA_LIMIT, SlotReading
from immunopath.models.foundation.decoding.numbers import (
    NumberSummary,
    cell_name,
    number_table,
    option_masses,
    summarise,
)
from immunopath.models.foundation.decoding.slots import Slot


@dataclass(frozen=True)
class FirstTokens:
    """Full-head log-probabilities at a slot's start: of the allowed tokens and, if it can be told
    apart, of the token that begins the word for "not known"."""

    log_probabilities: Mapping[int, float]
    unknown_token: int | None

    @property
    def unknown_mass(self) -> float | None:
        """Probability of beginning the word for "not known"."""
        if self.unknown_token is None:
            return None
        return min(1.0, math.exp(self.log_probabilities[self.unknown_token]))

    @property
    def off_schema_mass(self) -> float:
        """Probability of beginning anything that no allowed value begins with."""
        inside = math.fsum(
            math.exp(value)
            for token, value in self.log_probabilities.items()
            if token != self.unknown_token
        )
        return min(1.0, max(0.0, 1.0 - inside))


def read_slot(
    slot: Slot,
    greedy: str,
    choices: Sequence[Mapping[int, Mapping[int, float]]],
    first_tokens: Sequence[FirstTokens | None],
) -> SlotReading:
    """Return the reading of a slot, the mean over one or more histories.

    choices: per history, node -> log-probabilities of its allowed next tokens; greedy: the JSON
    literal on the greedy path.
    """
    tables = [_table(slot, history) for history in choices]
    table = {name: _mean([t[name] for t in tables]) for name in tables[0]}
    total = math.fsum(table.values())
    table = {name: mass / total for name, mass in table.items()}
    summary = summarise(list(table.values())) if slot.number else None
    full = [tokens for tokens in first_tokens if tokens is not None]
    off = _mean([tokens.off_schema_mass for tokens in full]) if full else None
    unknown = [mass for tokens in full if (mass := tokens.unknown_mass) is not None]
    return SlotReading(
        key=slot.key,
        value=None if off is not None and off > OFF_SCHEMA_LIMIT else _value(table, summary),
        probabilities=table,
        expectation=None if summary is None else summary.expectation,
        interval=None if summary is None else summary.interval,
        off_schema_mass=off,
        unknown_mass=_mean(unknown) if unknown else None,
        greedy=greedy if slot.number else str(json.loads(greedy)),
    )


def _table(slot: Slot, choices: Mapping[int, Mapping[int, float]]) -> dict[str, float]:
    plain = {n: {t: math.exp(v) for t, v in logs.items()} for n, logs in choices.items()}
    if slot.number:
        # The third digit was read on one path only; a table must not depend on which.
        ahead = {n: logs for n, logs in plain.items() if n == 0 or n in slot.ahead}
        return {cell_name(i): mass for i, mass in enumerate(number_table(slot, ahead))}
    masses = option_masses(slot, plain)
    named = {slot.nodes[node].literals[0]: mass for node, mass in masses.items()}
    return {str(json.loads(literal)): named[literal] for literal in slot.nodes[0].literals}


def _value(table: Mapping[str, float], summary: NumberSummary | None) -> str | float:
    if summary is not None:
        return summary.median
    return max(table, key=lambda name: table[name])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
