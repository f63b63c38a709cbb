"""The base of every value that crosses a floor of the house."""

from pydantic import BaseModel, ConfigDict, ValidationError

from immunopath.domain.errors import first_line


class Frozen(BaseModel):
    """An immutable value that refuses unknown keys, NaN and infinities."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


def fault_of(error: ValidationError, whole: str = "file") -> str:
    """Return the first thing that is wrong with a value: its place in it and what pydantic says.

    `whole`: what to call the value itself.
    """
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or whole
    return f"{where}: {first['msg']}"


def first_fault(error: Exception, whole: str = "file") -> str:
    """Return `fault_of`, or the first line of another error; at most 160 characters of it."""
    if not isinstance(error, ValidationError):
        return first_line(error, 160)
    return fault_of(error, whole)[:160]
