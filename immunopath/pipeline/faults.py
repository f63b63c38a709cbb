"""Where cases are worked on one after the other, a fault of ours in one must not stop the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from immunopath.domain.errors import ImmunoPathError, UnexpectedFault, first_line


@contextmanager
def faults_told() -> Iterator[None]:
    """Raise `UnexpectedFault`, one line, for any exception that is none of our tree."""
    try:
        yield
    except ImmunoPathError:
        raise
    except Exception as error:
        said = first_line(error, 160)
        raise UnexpectedFault(f"unexpected {type(error).__name__}: {said}") from error
