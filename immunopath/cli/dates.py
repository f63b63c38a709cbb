"""The one place where the command line reads the clock."""

from datetime import date

from immunopath.domain.errors import ImmunoPathError


def as_of_date(text: str | None) -> date:
    """Return the day of the question: as given, or today."""
    if text is None:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ImmunoPathError(f"--as-of {text!r}: is not a date YYYY-MM-DD") from error
