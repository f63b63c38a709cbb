"""A bounded memory of a pure function's answers: speed only, no answer ever depends on it."""

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

V = TypeVar("V")

LIMIT = 8192
"""Answers kept; a full memory is emptied, so a long cohort cannot grow it."""


class Memo(Generic[V]):
    """Answers by key. The key holds everything the function reads."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._found: dict[Hashable, V] = {}
        self._limit = limit

    def get(self, key: Hashable, compute: Callable[..., V], *arguments: Any) -> V:  # noqa: ANN401
        """Return the answer for `key`, computed as ``compute(*arguments)`` the first time."""
        try:
            return self._found[key]
        except KeyError:
            answer = compute(*arguments)
            if len(self._found) >= self._limit:
                self._found.clear()
            self._found[key] = answer
            return answer

    def clear(self) -> None:
        """Forget every answer."""
        self._found.clear()

    def __len__(self) -> int:
        return len(self._found)
