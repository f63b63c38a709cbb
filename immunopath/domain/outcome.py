"""What a graph node returns: a value, or the typed reason why there is none."""

from typing import Any, Generic, Literal, TypeVar

from typing_extensions import TypeAliasType

from immunopath.domain.base import Frozen

T = TypeVar("T")


class Ok(Frozen, Generic[T]):
    """The service answered."""

    status: Literal["ok"] = "ok"
    value: T


class Abstained(Frozen):
    """The service ran and declines to answer; the reason is for the reader of the report."""

    status: Literal["abstained"] = "abstained"
    reason: str


class Unavailable(Frozen):
    """The service could not run here: not installed, no weights, not asked for."""

    status: Literal["unavailable"] = "unavailable"
    reason: str


class Failed(Frozen):
    """The service ran and broke. `error_id` is the exception's class, stable across runs."""

    status: Literal["failed"] = "failed"
    error_id: str
    message: str


Outcome = TypeAliasType("Outcome", Ok[T] | Abstained | Unavailable | Failed, type_params=(T,))


def why_not(outcome: Ok[Any] | Abstained | Unavailable | Failed) -> str:
    """Return the reason of an outcome without a value, or an empty string for `Ok`."""
    match outcome:
        case Abstained(reason=reason) | Unavailable(reason=reason):
            return reason
        case Failed(error_id=error_id, message=message):
            return f"{error_id}: {message}"
    return ""
