"""One row of the doctor: what was checked, how it stands and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from immunopath.domain.errors import EngineError, ImmunoPathError
from immunopath.models.foundation.medgemma.memory_check import free_bytes

GIB = 1024**3
State = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Check:
    """One row: `state` ``missing`` means that the request cannot run as it stands."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def memory_check(label: str, need: int, text: str, device: str, remedy: str) -> Check:
    """Return the row that compares `need` (bytes, described by `text`) with what is free."""
    free = free_bytes(device)
    if free is None:
        return Check(label, "note", f"{text}; free memory of {device} is not known")
    found = f"{text}; {free / GIB:.2f} GiB free on {device}"
    if need > free:
        return Check(label, "missing", found, remedy)
    return Check(label, "ok", found)


def attempt(label: str, check: Callable[[], str]) -> Check:
    """Return an ``ok`` row with what `check` says, or a ``missing`` one with its error."""
    try:
        return Check(label, "ok", check())
    except ImmunoPathError as error:
        return failed(label, error)


def failed(label: str, error: ImmunoPathError) -> Check:
    """Return the row of an error: its kind, what is wrong, and its remedy."""
    kind = type(error).__name__ if isinstance(error, EngineError) else "options"
    what, _, remedy = str(error).partition("; ")
    return Check(label, "missing", f"{kind}: {what}", remedy)
