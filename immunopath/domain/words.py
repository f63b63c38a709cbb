"""Words of messages and reports that more than one floor writes."""


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return ``1 tile``, ``2 tiles``; `plural`: where an s at the end does not make it."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
