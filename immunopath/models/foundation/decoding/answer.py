"""What a valid answer looks like: layout, key order, allowed values and the number language.

An answer is one JSON object. Its skeleton (braces, keys, separators) is fixed by the format, and
only the values are decided. Three layouts are in use among published and planned adapters; their
tokenizations differ, so a checkpoint names the one it was trained with.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, get_args

from immunopath.domain.errors import EngineSpecError
from immunopath.domain.prediction import FIELD_VALUES

Layout = Literal["indented", "single_line", "compact"]
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
VERSION: Final = "1"
MAX_DECIMALS: Final = 3

_SEPARATORS: Final[dict[Layout, tuple[str, str, str, str]]] = {
    "indented": ("{\n  ", ": ", ",\n  ", "\n}"),
    "single_line": ("{", ": ", ", ", "}"),
    "compact": ("{", ":", ",", "}"),
}
"""Opening, between key and value, between fields, closing: what ``json.dumps`` writes with
``indent=2``, with its defaults, and with ``separators=(",", ":")``."""


def number_literals(decimals: int = MAX_DECIMALS) -> tuple[str, ...]:
    """Return the number language in ascending order.

    ``0.0``, ``1.0``, and ``0.`` with 1 to `decimals` digits of which the last is not 0: exactly
    what Python prints for a number in [0, 1] rounded to that many decimals.
    """
    steps = 10**decimals
    return tuple(repr(round(i / steps, decimals)) for i in range(steps + 1))


@dataclass(frozen=True)
class AnswerFormat:
    """One answer format, a value that can be written down, compared and digested.

    keys: the fields in answer order; any order and any subset of `values`.
    values: the allowed values of every key, None for a number in [0, 1].
    unknown: the word that an adapter may have been trained to say where nothing was known. It is
        never decoded as a value; its probability is measured.
    decimals: how many digits a number may have after the point, 2 or 3.

    Raises `EngineSpecError` for an unknown layout, an unknown or repeated key, or no key at all.
    """

    layout: Layout = "indented"
    keys: tuple[str, ...] = tuple(FIELD_VALUES)
    values: Mapping[str, tuple[str, ...] | None] = field(
        default_factory=lambda: MappingProxyType(dict(FIELD_VALUES)), hash=False
    )
    unknown: str = "unknown"
    decimals: int = MAX_DECIMALS

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise EngineSpecError(f"answer layout {self.layout!r}: choose {', '.join(LAYOUTS)}")
        if not self.keys or len(set(self.keys)) != len(self.keys):
            raise EngineSpecError("answer keys: name at least one field, and none twice")
        for key in self.keys:
            if key not in self.values:
                raise EngineSpecError(f"answer key {key!r}: its allowed values are not known")
            allowed = self.values[key]
            if allowed is not None and (len(set(allowed)) < 2 or self.unknown in allowed):
                raise EngineSpecError(
                    f"answer key {key!r}: give two or more different values, "
                    f"{self.unknown!r} not among them"
                )
        if self.decimals not in (2, MAX_DECIMALS):
            raise EngineSpecError(f"answer numbers with {self.decimals} decimals: choose 2 or 3")

    def is_number(self, key: str) -> bool:
        """Return whether a field holds a number in [0, 1]."""
        return self.values[key] is None

    def literals(self, key: str) -> tuple[str, ...]:
        """Return the allowed values of a field as they stand in the JSON text."""
        allowed = self.values[key]
        if allowed is None:
            return number_literals(self.decimals)
        return tuple(json.dumps(value) for value in allowed)

    @property
    def unknown_literal(self) -> str:
        """The word for "not known" as it would stand in the JSON text."""
        return json.dumps(self.unknown)

    def render(self, literals: Sequence[str]) -> str:
        """Return the answer's text for one JSON literal per key, in key order."""
        opening, colon, comma, closing = _SEPARATORS[self.layout]
        fields = (f"{json.dumps(k)}{colon}{v}" for k, v in zip(self.keys, literals, strict=True))
        return opening + comma.join(fields) + closing

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides what an answer looks like, and `VERSION`."""
        parts = {
            "version": VERSION,
            "layout": self.layout,
            "fields": [[key, self.values[key]] for key in self.keys],
            "unknown": self.unknown,
            "decimals": self.decimals,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
