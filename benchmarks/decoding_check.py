"""Whether written answers are JSON and hold what the answer format allows, by plain reading."""

import json
from collections.abc import Sequence
from typing import Any

from immunopath.models.foundation.decoding.answer import AnswerFormat


def fits(answer: AnswerFormat, said: object) -> bool:
    """Return whether a parsed answer has every key once, in order, each with an allowed value."""
    if not isinstance(said, dict) or tuple(said) != answer.keys:
        return False
    return all(_allowed(answer, key, value) for key, value in said.items())


def _allowed(answer: AnswerFormat, key: str, value: object) -> bool:
    allowed = answer.values[key]
    if allowed is not None:
        return value in allowed
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= 1 and round(value, answer.decimals) == value  # type: ignore[operator,call-overload]


def checked(answer: AnswerFormat, texts: Sequence[str]) -> dict[str, Any]:
    """Return how many texts there are, how many parse, how many fit, and the first that does not.

    A key that stands twice does not parse: one of its values would be lost.
    """
    parsed, fitting, bad = 0, 0, None
    for text in texts:
        try:
            said = json.loads(text, object_pairs_hook=_once)
        except ValueError:
            bad = bad or text
            continue
        parsed += 1
        if fits(answer, said):
            fitting += 1
        else:
            bad = bad or text
    return {"answers": len(texts), "parse": parsed, "fit_the_schema": fitting, "first_bad": bad}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)
