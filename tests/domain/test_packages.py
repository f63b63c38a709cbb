"""Versions of what is installed; what is not there has none and is left out."""

from importlib.metadata import version

from immunopath.domain.packages import version_of, versions_of


def test_what_is_not_installed_has_no_version_and_is_left_out() -> None:
    assert version_of("numpy") == version("numpy")
    assert version_of("no-such-package-anywhere") is None
    assert versions_of("no-such-package-anywhere", "numpy") == {"numpy": version("numpy")}
