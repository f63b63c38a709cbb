"""Which Python packages are installed, and in which version."""

from importlib.metadata import PackageNotFoundError, version


def version_of(name: str) -> str | None:
    """Return the version of an installed distribution, None when it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def versions_of(*names: str) -> dict[str, str]:
    """Return the versions of those that are there."""
    return {name: found for name in names if (found := version_of(name)) is not None}
