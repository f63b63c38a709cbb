"""Embeddings in AnnData files: those of ``immunopath analyze --anndata`` and those of others.

``X`` holds one vector an observation, ``obsm["spatial"]`` its place in level-0 pixels of the
slide. Our own files say the rest; of others the size of a patch has to be told.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from immunopath.domain.errors import CaseFileError, EngineUnavailable, first_line
from immunopath.domain.files import require_content
from immunopath.training.imports.contained import require_contained
from immunopath.training.imports.vectors import (
    I64,
    Maker,
    SlideVectors,
    corners_of,
    require_readable_size,
    sha256_of,
    unit_vectors,
)

Spatial = Literal["centre", "corner"]
BOX: Final = ("x", "y", "width", "height")


def read_h5ad(
    path: Path,
    slide_key: str | None = None,
    spatial: Spatial = "centre",
    level0_px: int | None = None,
) -> tuple[SlideVectors, ...]:
    """Return the vectors of every slide in a file.

    slide_key: column of ``obs`` that names the slide, by default ``slide_id``, in our own files
    the image, else the whole file is one slide of its name; spatial: what ``obsm["spatial"]`` is
    of a patch; level0_px: its side. Raises `CaseFileError` for a truncated file, NaN, vectors
    without places, and our own files without vectors.
    """
    data = _read(path)
    about = data.uns.get("immunopath")
    own = isinstance(about, dict)
    if own:
        _require_vectors(path, about)
    vectors = _vectors(path, data.X)
    boxes = _boxes(path, data, spatial, level0_px)
    slides, digest = _slides(path, data, slide_key, own=own), sha256_of(path)
    return tuple(
        SlideVectors(
            slide=slide,
            path=path,
            sha256=digest,
            rows=vectors[at],
            boxes=boxes[at],
            mpp0=_mpp(path, data, at) if own else None,
            mpp_source=str(data.obs["mpp_source"].iloc[at[0]]) if own else "",
            maker=_maker(about) if own else None,
        )
        for slide, at in slides
    )


def _read(path: Path) -> Any:  # noqa: ANN401 - anndata.AnnData
    try:
        import anndata
        import h5py
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"{path}: reading it needs the package {error.name!r}; run pip install "
            "'immunopath[interop]'"
        ) from error
    require_content(path, "an AnnData file (.h5ad)")
    try:
        with h5py.File(path, "r") as stored:
            require_contained(path, stored)
            found = stored.get("X")
            shape = getattr(found, "shape", ()) or getattr(found, "attrs", {}).get("shape", ())
        require_readable_size(path, tuple(int(n) for n in shape))
        return anndata.read_h5ad(path)
    except CaseFileError:
        raise
    except Exception as error:  # anndata raises nearly anything for a damaged file
        raise CaseFileError(
            f"{path}: is no AnnData file or a truncated one ({first_line(error, 120)}); copy or "
            "write it again"
        ) from error


def _require_vectors(path: Path, about: dict[str, Any]) -> None:
    missing = about.get("embedding", {}).get("missing")
    if missing is not None:
        raise CaseFileError(f"{path}: holds no vectors: {missing}")


def _vectors(path: Path, found: Any) -> Any:  # noqa: ANN401 - an array, dense or sparse
    matrix = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    if matrix.ndim != 2 or not matrix.shape[1] or not matrix.shape[0]:
        raise CaseFileError(f"{path}: X has shape {matrix.shape}; it must hold one vector a patch")
    return unit_vectors(path, matrix)


def _boxes(path: Path, data: Any, spatial: Spatial, level0_px: int | None) -> I64:  # noqa: ANN401
    if all(name in data.obs for name in BOX):
        return np.asarray(data.obs[list(BOX)].to_numpy(), np.int64)
    if "spatial" not in data.obsm:
        raise CaseFileError(
            f"{path}: has no coordinates (obsm['spatial']); vectors without places cannot be "
            "traced to the slide"
        )
    places = np.asarray(data.obsm["spatial"], np.float64)
    side = level0_px or 0
    if spatial == "centre" and not side:
        raise CaseFileError(
            f"{path}: gives the centres of patches and not their size; name it (--level0-px), or "
            "say that these are corners (--spatial corner)"
        )
    corners = corners_of(path, places - side / 2 if spatial == "centre" else places, data.n_obs)
    return np.hstack([corners, np.full((len(corners), 2), side, np.int64)])


def _slides(
    path: Path,
    data: Any,  # noqa: ANN401 - anndata.AnnData
    key: str | None,
    *,
    own: bool,
) -> Iterator[tuple[str, I64]]:
    """Yield every slide with the numbers of its rows."""
    if key is not None and key not in data.obs:
        raise CaseFileError(f"{path}: has no column {key!r} in obs; name another (--slide-key)")
    column = key or ("slide_id" if "slide_id" in data.obs else "image" if own else None)
    if column is None:
        yield path.stem, np.arange(data.n_obs)
        return
    names = data.obs[column].astype(str).to_numpy()
    for name in dict.fromkeys(names):
        yield str(name), np.flatnonzero(names == name)


def _mpp(path: Path, data: Any, at: I64) -> Any:  # noqa: ANN401 - anndata.AnnData
    found = np.asarray(data.obs["mpp"].to_numpy(), np.float64)[at]
    if not np.isfinite(found).all() or (found <= 0).any():
        raise CaseFileError(f"{path}: a tile has no resolution (obs['mpp'])")
    return found


def _maker(about: dict[str, Any]) -> Maker:
    """Return the encoder that our own file names; the file calls the role, not the engine."""
    said = about["embedding"]
    return Maker(
        str(said["engine"]).removesuffix("-embedder"),
        str(said["revision"]),
        str(said["weights_digest"]) or None,
    )
