"""An HDF5 file that is handed to us may name other files of this machine: none is followed."""

from pathlib import Path
from typing import Any

from immunopath.domain.errors import CaseFileError


def require_contained(path: Path, stored: Any) -> None:  # noqa: ANN401 - h5py.File
    """Raise `CaseFileError` for links and for datasets whose numbers lie in another file."""
    import h5py

    def judge_link(name: str, link: Any) -> str | None:  # noqa: ANN401 - h5py
        return None if isinstance(link, h5py.HardLink) else name

    def judge(name: str, found: Any) -> str | None:  # noqa: ANN401 - h5py
        outside = isinstance(found, h5py.Dataset) and (found.is_virtual or found.external)
        return name if outside else None

    name = stored.visititems_links(judge_link) or stored.visititems(judge)
    if name is not None:
        raise CaseFileError(
            f"{path}: {name!r} is a link or lies in another file; copy its numbers into this one"
        )
