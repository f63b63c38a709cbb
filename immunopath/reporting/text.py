"""Text from outside made fit to show: one line, nothing hidden, nothing executable."""

import re
import unicodedata
from typing import TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

_ASCII = str.maketrans(
    {
        "µ": "u", "μ": "u", "²": "2", "³": "3", "±": "+/-", "×": "x", "·": "-", "–": "-", "—": "-",
        "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "≥": ">=", "≤": "<=", "→": "->",
        "≈": "~", "−": "-", "°": " deg", "α": "alpha", "β": "beta", "γ": "gamma", "κ": "kappa",
    }
)  # fmt: skip


def visible(text: str) -> str:
    """Return `text` on one line with every control, format or bidi character spelled out.

    ``\\x1b``, ``\\n``, ``\\u202e`` and the like become their escape sequences in plain letters, so
    that a hostile name can neither drive a terminal nor reorder or break a line.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _spelled(c) for c in text)


def _spelled(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    return char.encode("unicode_escape").decode("ascii")


def ascii_only(text: str) -> str:
    """Return `text` for a terminal that cannot show Unicode: ``≥`` as ``>=``, the rest escaped."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def cleaned(model: M) -> M:
    """Return a copy of `model` in which every string at any depth went through `visible`.

    Renderers work on this copy only: no string can reach them uncleaned. The copy is for showing,
    it is not validated again.
    """
    return model.model_copy(
        update={name: _clean(getattr(model, name)) for name in type(model).model_fields}
    )


def _clean(value: object) -> object:
    if type(value) is str:
        return visible(value)
    if isinstance(value, BaseModel):
        return cleaned(value)
    if isinstance(value, tuple):
        return tuple(_clean(item) for item in value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def number(value: float, digits: int = 2) -> str:
    """Return `value` with `digits` decimals below 10, one below 100, none above.

    A value that these decimals would turn into zero keeps two significant digits.
    """
    size = abs(value)
    if 0 < size < 0.5 * 10**-digits:
        return f"{value:.2g}"
    if size >= 100 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.{1 if size >= 10 else digits}f}"


def as_stated(value: float) -> str:
    """Return a measured or stated number unrounded: 49.96 must not read as 50."""
    return f"{value:.12g}"


def share(value: float) -> str:
    """Return a value in [0, 1] with two decimals, or three near the ends (0.007, 0.993).

    Nothing short of certainty reads as 0 or 1: ``< 0.001`` and ``> 0.999``.
    """
    if 0 < value < 0.0005:
        return "< 0.001"
    if 0.9995 <= value < 1:
        return "> 0.999"
    near_end = 0 < value < 0.01 or 0.99 < value < 1
    return f"{value:.{3 if near_end else 2}f}"


def plain_name(key: str) -> str:
    """Return a key such as ``not_done`` in words."""
    return key.replace("_", " ")


def listed(items: tuple[str, ...]) -> str:
    """Return the items joined by commas, or ``none`` when there are none."""
    return ", ".join(items) if items else "none"


_SCALE_ORIGINS = {
    "assumed": "assumed: nobody stated it",
    "user": "stated by the user",
    "tag": "from the image's metadata",
    "vendor": "from the scanner's metadata",
    "tiff_resolution": "from the TIFF resolution",
}


def scale_origin(sources: str) -> str:
    """Return in words how a resolution is known; `sources` are `MppSource` names and commas."""
    names = [name.strip() for name in sources.split(",")]
    return ", ".join(_SCALE_ORIGINS.get(name, plain_name(name)) for name in names)


_ACTING = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def escaped_json(text: str) -> str:
    """Return JSON with controls and direction marks as ``\\u`` escapes; the values stay the same.

    They can stand in strings only, so that escaping them leaves the document what it was.
    """
    if text.isascii() and "\x7f" not in text:  # the usual case: a look instead of a search
        return text
    return _ACTING.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
