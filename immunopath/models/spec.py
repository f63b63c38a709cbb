"""Engine strings: ``name[:id-or-folder][,key=value…]``, the same in Python, CLI and TOML."""

import math
import re
from collections.abc import Sequence
from typing import Self, TypeVar, overload

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import EngineSpecError

_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
_KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
_WHOLE = re.compile(r"[0-9]{1,12}\Z")
Word = TypeVar("Word", bound=str)


class EngineSpec(Frozen):
    """A parsed engine string.

    ``medgemma:/models/medgemma,adapter=/models/v31,quant=nf4`` has name ``medgemma``, source
    ``/models/medgemma`` and two options. Values may hold ``:`` and ``=`` but no comma.
    """

    name: str
    source: str | None = None
    options: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the spec of an engine string; raises `EngineSpecError` naming the fault."""
        head, *pairs = text.strip().split(",")
        name, colon, source = head.partition(":")
        if not _NAME.match(name):
            raise EngineSpecError(
                f"engine {text!r}: does not start with an engine name such as 'embedded'; "
                "see 'immunopath models list'"
            )
        if colon and not source:
            raise EngineSpecError(f"engine {text!r}: nothing follows the colon (an id or folder)")
        options: dict[str, str] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if not equals or not _KEY.match(key) or not value:
                raise EngineSpecError(f"engine {text!r}: {pair!r} is not key=value")
            if key in options:
                raise EngineSpecError(f"engine {text!r}: {key!r} is given twice")
            options[key] = value
        return cls(name=name, source=source or None, options=options)

    def __str__(self) -> str:
        head = self.name if self.source is None else f"{self.name}:{self.source}"
        return ",".join([head, *(f"{k}={v}" for k, v in self.options.items())])

    def refuse_extras(self, *allowed: str, source: bool = False) -> None:
        """Raise `EngineSpecError` for an option or a source that this engine does not take."""
        unknown = sorted(set(self.options) - set(allowed))
        if unknown:
            takes = ", ".join(sorted(allowed)) or "no options"
            raise EngineSpecError(f"engine {self}: unknown option {unknown[0]!r}; it takes {takes}")
        if self.source is not None and not source:
            raise EngineSpecError(f"engine {self}: {self.name!r} takes no id or folder")

    @overload
    def number(self, key: str, default: float, low: float, high: float) -> float: ...
    @overload
    def number(self, key: str, default: None, low: float, high: float) -> float | None: ...
    def number(self, key: str, default: float | None, low: float, high: float) -> float | None:
        """Return a numeric option in [low, high], else the default; raises `EngineSpecError`."""
        text = self.options.get(key)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise EngineSpecError(
                f"engine {self}: {key}={text} does not do; give a number from {low:g} to {high:g}"
            )
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole-number option in [low, high]; raises `EngineSpecError`."""
        text = self.options.get(key)
        if text is None:
            return default
        if not _WHOLE.match(text) or not low <= int(text) <= high:
            raise EngineSpecError(
                f"engine {self}: {key}={text} does not do; give a whole number from {low} to {high}"
            )
        return int(text)

    def choice(self, key: str, words: Sequence[Word], default: Word | None = None) -> Word:
        """Return the option as one of `words`, the first where neither option nor default is given.

        Raises `EngineSpecError`.
        """
        text = self.options.get(key)
        if text is None:
            return words[0] if default is None else default
        for word in words:
            if text == word:
                return word
        raise EngineSpecError(f"engine {self}: {key}={text} is unknown; use {' or '.join(words)}")
