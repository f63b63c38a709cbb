"""Patch features as TRIDENT and CLAM write them: one ``.h5`` a slide.

Both keep ``features`` (n, size) and ``coords`` (n, 2), corners in level-0 pixels. TRIDENT copies
onto ``coords`` what its patching knew: ``patch_size`` (pixels at ``target_magnification``),
``patch_size_level0``, ``level0_magnification``, ``name``. CLAM's feature files say nothing more;
its files of coordinates (folder ``patches``) have ``patch_size`` at ``patch_level`` and that
level's ``downsample``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from immunopath.domain.errors import CaseFileError, EngineUnavailable, first_line
from immunopath.domain.files import require_content
from immunopath.training.imports.contained import require_contained
from immunopath.training.imports.vectors import (
    SlideVectors,
    corners_of,
    require_readable_size,
    sha256_of,
    unit_vectors,
)


def read_hdf5(path: Path, patches: Path | None = None) -> SlideVectors:
    """Return the vectors of a file; `patches`: folder of CLAM's files of coordinates.

    Raises `CaseFileError` for a file that is truncated or no HDF5, without ``features`` or
    ``coords``, with other shapes, NaN, or that says it is of another slide than its name.
    """
    with _opened(path) as stored:
        rows = _array(path, stored, "features", "the vectors of patches, (n, size)")
        if "coords" not in stored:
            raise CaseFileError(
                f"{path}: has no coordinates ('coords'); features without places cannot be "
                "traced to the slide: extract them again with coordinates"
            )
        corners = _array(path, stored, "coords", "the corners of patches, (n, 2)")
        facts = dict(stored["coords"].attrs)
    found = _vectors(path, rows, corners, facts)
    return found if patches is None else _with_patches(found, patches)


def _vectors(path: Path, rows: Any, corners: Any, facts: dict[str, Any]) -> SlideVectors:  # noqa: ANN401
    named = _text(facts.get("name"))
    if named and named != path.stem:
        raise CaseFileError(
            f"{path}: says that it is of slide {named!r}; give the file back its name"
        )
    places = corners_of(path, corners, len(rows))
    px = _whole(path, facts, "patch_size")
    side = _whole(path, facts, "patch_size_level0") or _side_of_clam(path, facts, px)
    return SlideVectors(
        slide=path.stem,
        path=path,
        sha256=sha256_of(path),
        rows=unit_vectors(path, rows),
        boxes=np.hstack([places, np.full((len(places), 2), side or 0, np.int64)]),
        px=px,
        magnification=_number(facts.get("target_magnification")),
    )


def _with_patches(found: SlideVectors, folder: Path) -> SlideVectors:
    """Return the vectors with the size of their patches from CLAM's file of coordinates."""
    path = folder / f"{found.slide}.h5"
    with _opened(path) as stored:
        corners = corners_of(
            path, _array(path, stored, "coords", "the corners of patches"), len(found)
        )
        facts = dict(stored["coords"].attrs)
    if not np.array_equal(corners, found.boxes[:, :2]):
        raise CaseFileError(
            f"{path}: holds other places than {found.path}; name the folder of both"
        )
    px = _whole(path, facts, "patch_size")
    side = _side_of_clam(path, facts, px)
    if px is None or side is None:
        raise CaseFileError(f"{path}: does not say patch_size, patch_level and downsample")
    boxes = np.hstack([corners, np.full((len(corners), 2), side, np.int64)])
    return replace(found, boxes=boxes, px=px)


def _side_of_clam(path: Path, facts: dict[str, Any], px: int | None) -> int | None:
    """Return the side in level-0 pixels; None where level and downsample do not tell it."""
    if px is None or "patch_level" not in facts:
        return None
    level = _number(facts["patch_level"])
    scale = _number(facts.get("downsample", 1 if level == 0 else None))
    if scale is None or scale < 1:
        return None
    side = px * scale * (_number(facts.get("custom_downsample", 1)) or 1)
    return round(side)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"{path}: reading it needs the package 'h5py'; run pip install 'immunopath[interop]'"
        ) from error
    require_content(path, "a file of patch features (.h5)")
    try:
        with h5py.File(path, "r") as stored:
            require_contained(path, stored)
            yield stored
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise CaseFileError(
            f"{path}: is no HDF5 file or a truncated one ({first_line(error, 120)}); copy or "
            "extract it again"
        ) from error


def _array(path: Path, stored: Any, key: str, what: str) -> Any:  # noqa: ANN401 - h5py
    """Return a dataset of (n, columns); (1, n, columns) counts as the same."""
    found = stored.get(key)
    if not hasattr(found, "shape"):
        there = ", ".join(sorted(stored)[:8]) or "nothing"
        raise CaseFileError(f"{path}: has no dataset {key!r}, {what}; it has {there}")
    shape = found.shape[1:] if len(found.shape) == 3 and found.shape[0] == 1 else found.shape
    if len(shape) != 2 or not shape[1]:
        hint = "a vector of the whole slide" if len(shape) == 1 else "no table"
        raise CaseFileError(
            f"{path}: {key!r} has shape {found.shape}, {hint}; what is needed is {what}"
        )
    require_readable_size(path, shape)
    return found[()].reshape(shape)


def _text(value: Any) -> str:  # noqa: ANN401 - an attribute
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _number(value: Any) -> float | None:  # noqa: ANN401 - an attribute
    """Return a positive or zero number; of a pair of equal ones the one; None for anything else."""
    try:
        flat = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):  # TRIDENT writes 'None' for what it does not know
        return None
    if not flat.size or not np.isfinite(flat).all() or flat.min() < 0:
        return None
    return float(flat[0]) if np.allclose(flat, flat[0], rtol=1e-2) else None


def _whole(path: Path, facts: dict[str, Any], key: str) -> int | None:
    if key not in facts:
        return None
    found = _number(facts[key])
    if found is None or not found.is_integer() or found < 1:
        raise CaseFileError(f"{path}: {key} {facts[key]!r} is no number of pixels")
    return int(found)
