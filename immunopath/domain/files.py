"""What a path must be before it is opened."""

from pathlib import Path

from immunopath.domain.errors import CaseFileError


def require_file(path: Path, what: str) -> None:
    """Raise `CaseFileError` unless `path` is a regular file; `what` says which file is wanted.

    A pipe would be waited on for ever, a device might never end.
    """
    if not path.exists():
        raise CaseFileError(f"{path}: no such file; check the path")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise CaseFileError(f"{path}: is {kind}; name {what}")
