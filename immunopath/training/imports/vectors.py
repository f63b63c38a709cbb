"""Vectors of one slide as another program left them, checked number by number."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import open_regular
from immunopath.domain.words import counted
from immunopath.models.mil.network import F32

I64 = npt.NDArray[np.int64]
BLOCK: Final = 8192
"""Rows that are in memory twice, in double precision."""
MAX_NUMBERS: Final = 1 << 29
"""Of one file (2 GiB as float32): a file may claim any shape, and is read as a whole."""


@dataclass(frozen=True)
class Maker:
    """Which encoder made vectors, as far as somebody says; weights_digest: None = not said."""

    name: str
    revision: str
    weights_digest: str | None = None


@dataclass(frozen=True)
class SlideVectors:
    """Patches of one slide.

    rows: (n, size) unit length; boxes: (n, 4) x, y, width, height in level-0 pixels, width 0 =
    not known from the file; px: side of a patch as the encoder was shown it, in pixels of its
    resolution; magnification: of those pixels, as the program that cut them called it; mpp0,
    mpp_source: of level 0; maker: where the file names it. None = the file does not say.
    """

    slide: str
    path: Path
    sha256: str
    rows: F32
    boxes: I64
    px: int | None = None
    magnification: float | None = None
    mpp0: npt.NDArray[np.float64] | None = None
    mpp_source: str = ""
    maker: Maker | None = None

    def __len__(self) -> int:
        return len(self.rows)


def unit_vectors(path: Path, found: npt.NDArray[Any]) -> F32:
    """Return rows of unit length; raises `CaseFileError` for what is no direction.

    Engines here answer with unit vectors, so lengths carry nothing and are dropped.
    """
    if found.dtype.kind != "f":
        raise CaseFileError(f"{path}: the vectors are {found.dtype}, not floating point numbers")
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise CaseFileError(
            f"{path}: vector {int(np.argmax(bad))} holds NaN or infinity ({int(bad.sum())} of "
            f"{len(found)} do); extract the features again"
        )
    rows = np.empty(found.shape, np.float32)
    for start in range(0, len(found), BLOCK):
        block = np.asarray(found[start : start + BLOCK], np.float64)
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        if not lengths.all():
            raise CaseFileError(
                f"{path}: vector {start + int(np.argmin(lengths))} is all zeros; extract the "
                "features again"
            )
        rows[start : start + BLOCK] = block / lengths
    return rows


_FAR: Final = 2.0**53
"""Level-0 pixels: whole numbers beyond are no places, and would turn negative."""


def corners_of(path: Path, found: npt.NDArray[Any], n: int) -> I64:
    """Return (n, 2) whole level-0 pixels; raises `CaseFileError` for what are no such places."""
    if found.shape != (n, 2):
        raise CaseFileError(
            f"{path}: {counted(n, 'vector')} and coordinates of shape {found.shape}; "
            "there must be one x and "
            "one y for every vector"
        )
    if found.dtype.kind not in "iuf" or not (np.abs(found.astype(np.float64)) < _FAR).all():
        raise CaseFileError(f"{path}: the coordinates are no numbers of level-0 pixels")
    whole: I64 = np.rint(found).astype(np.int64)
    if (whole < 0).any():
        raise CaseFileError(
            f"{path}: coordinates are negative ({whole.min()}); level-0 pixels start at 0"
        )
    if len(np.unique(whole, axis=0)) != len(whole):
        raise CaseFileError(f"{path}: the same place is named twice; extract the features again")
    return whole


def require_readable_size(path: Path, shape: tuple[int, ...]) -> None:
    """Raise `CaseFileError` for more numbers than are read at once."""
    if int(np.prod([max(1, n) for n in shape], dtype=object)) > MAX_NUMBERS:
        raise CaseFileError(
            f"{path}: claims vectors of shape {shape}, more than {MAX_NUMBERS} numbers; split it"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
