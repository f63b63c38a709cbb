"""The tiles of a case as AnnData: places, quality, counts, embeddings; for scanpy and squidpy."""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import EngineUnavailable, OutputError
from immunopath.domain.files import write_bytes
from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.quality import TileSummary, Verdict
from immunopath.domain.report import RESEARCH_USE, CaseReport
from immunopath.models.protocols import NucleiTable
from immunopath.reporting.text import visible
from immunopath.reporting.tile_counts import tile_counts

FIELDS: Final = ("value", "quantity", "probabilities", "abstained", "reason", "calibrated")
"""Of each prediction, what ``uns["immunopath"]`` repeats."""


def tiles_anndata(
    report: CaseReport,
    vectors: npt.NDArray[np.float32] | None,
    nuclei: NucleiTable | None = None,
) -> Any:  # noqa: ANN401 - anndata.AnnData, an optional dependency
    """Return one observation per accepted tile.

    vectors: (n_tiles, size) in the order of the report's accepted tiles, the ``X`` of the result;
    None = X has no columns, and ``uns`` says why. ``obsm["spatial"]``: the tile's centre, x and y
    in level-0 pixels of its image, or of the slide that it is a region of. ``obs``: image, box,
    resolution, quality and, where nuclei were counted, how many lie in the tile. Raises
    `EngineUnavailable` without the extra ``interop``.
    """
    try:
        import anndata
        import pandas as pd
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"AnnData: the package {error.name!r} is not installed; run pip install "
            "'immunopath[interop]'"
        ) from error
    tiles = [tile for tile in report.tiles if tile.quality.verdict is not Verdict.refuse]
    if vectors is not None and len(vectors) != len(tiles):
        raise ValueError(f"{len(vectors)} vectors for {len(tiles)} tiles")
    rows = [_row(report, tile) | _counts(tile, nuclei) for tile in tiles]
    index = [tile.tile_id for tile in tiles]
    matrix = np.zeros((len(tiles), 0), np.float32) if vectors is None else vectors
    columns = [f"embedding_{i}" for i in range(matrix.shape[1])]
    data = anndata.AnnData(
        X=matrix, obs=pd.DataFrame(rows, index=index), var=pd.DataFrame(index=columns)
    )
    centres = [(r["x"] + r["width"] / 2, r["y"] + r["height"] / 2) for r in rows]
    data.obsm["spatial"] = np.array(centres, np.float64).reshape(-1, 2)
    data.uns["immunopath"] = {
        "research_use": RESEARCH_USE,
        "package_version": report.provenance.package_version,
        "configuration_digest": report.provenance.configuration_digest,
        "embedding": _embedding(report, vectors is not None),
        "predictions": json.dumps(_predictions(report)),
    }
    return data


def write_tiles_h5ad(
    path: Path,
    report: CaseReport,
    vectors: npt.NDArray[np.float32] | None,
    nuclei: NucleiTable | None = None,
) -> None:
    """Write `tiles_anndata` as ``.h5ad``, whole or not at all; raises `OutputError`."""
    data = tiles_anndata(report, vectors, nuclei)
    if not data.n_obs:
        raise OutputError(f"{path}: the case has no accepted tile, so none can be written")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "tiles.h5ad"
        data.write_h5ad(made)
        write_bytes(path, made.read_bytes())


def _row(report: CaseReport, tile: TileSummary) -> dict[str, Any]:
    image = report.images[tile.image_index]
    x, y, width, height = tile.box
    return {
        "case_id": visible(report.case_id),
        "patient_id": visible(report.patient_id or ""),
        "image": visible(image.name),
        "x": image.origin[0] + x,
        "y": image.origin[1] + y,
        "width": width,
        "height": height,
        "mpp": tile.mpp,
        "mpp_source": tile.mpp_source or "",
        "quality": tile.quality.verdict.value,
        "tissue_share": tile.quality.tissue_share,
    }


def _counts(tile: TileSummary, nuclei: NucleiTable | None) -> dict[str, Any]:
    """Return the tile's counts; nothing when no nuclei were looked for."""
    if nuclei is None:
        return {}
    n, lymphocytes = tile_counts(tile, nuclei)
    return {"n_nuclei": n, "n_lymphocytes": lymphocytes}


def _embedding(report: CaseReport, there: bool) -> dict[str, str]:
    if not isinstance(report.retrieval, Ok):
        return {"missing": why_not(report.retrieval)}
    if not there:
        return {"missing": "the vectors were not kept"}
    source = report.retrieval.value.source
    return {
        "engine": source.engine,
        "revision": source.revision or "",
        "weights_digest": source.weights_digest or "",
        "preprocess": source.preprocess or "",
    }


def _predictions(report: CaseReport) -> dict[str, Any]:
    return {
        name: {key: field.model_dump(mode="json")[key] for key in FIELDS}
        for name, field in report.profile.items()
    }
