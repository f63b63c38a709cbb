"""Every tile as a QuPath detection with its counts: a measurement map of them is a heat map."""

import json
from pathlib import Path
from typing import Any

from immunopath.domain.files import write_text
from immunopath.domain.quality import TileSummary, Verdict
from immunopath.domain.report import RESEARCH_USE, CaseReport
from immunopath.models.protocols import NucleiTable
from immunopath.reporting.text import visible
from immunopath.reporting.tile_counts import tile_counts


def tiles_geojson(report: CaseReport, nuclei: NucleiTable | None = None) -> dict[str, Any]:
    """Return a FeatureCollection of all tiles, refused ones included, as closed rectangles.

    Coordinates are level-0 pixels of the tile's image, or of the slide that it is a region of; with
    several images each feature names its own in ``metadata``. Measurements: tissue share and,
    where nuclei were counted, nuclei, lymphocytes and lymphocytes per mm² of the tile.
    """
    several = len(report.images) > 1
    return {
        "type": "FeatureCollection",
        "research_use": RESEARCH_USE,
        "mpp": [image.mpp for image in report.images],
        "features": [_feature(report, tile, nuclei, several=several) for tile in report.tiles],
    }


def write_tiles_geojson(path: Path, report: CaseReport, nuclei: NucleiTable | None = None) -> None:
    """Write `tiles_geojson` at once or not at all; raises `OutputError`."""
    write_text(path, json.dumps(tiles_geojson(report, nuclei)) + "\n")


def _feature(
    report: CaseReport, tile: TileSummary, nuclei: NucleiTable | None, *, several: bool
) -> dict[str, Any]:
    left, top = report.images[tile.image_index].origin
    x, y, width, height = left + tile.box[0], top + tile.box[1], *tile.box[2:]
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]
    refused = tile.quality.verdict is Verdict.refuse
    properties: dict[str, Any] = {
        "objectType": "detection",
        "name": tile.tile_id,
        "classification": {
            "name": "Tile refused" if refused else "Tile",
            "color": [140, 140, 140] if refused else [116, 64, 131],
        },
        "measurements": _measurements(tile, nuclei, refused=refused),
    }
    if several:
        image = report.images[tile.image_index]
        properties["metadata"] = {
            "image_index": str(tile.image_index),
            "image": visible(image.name),
        }
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": properties,
    }


def _measurements(
    tile: TileSummary, nuclei: NucleiTable | None, *, refused: bool
) -> dict[str, float]:
    found: dict[str, float] = {"tissue_share": round(tile.quality.tissue_share, 4)}
    if nuclei is None or refused:
        return found
    n, lymphocytes = tile_counts(tile, nuclei)
    area = tile.box[2] * tile.box[3] * tile.mpp**2 / 1e6
    per_mm2 = round(lymphocytes / area, 1)
    return found | {"n_nuclei": n, "n_lymphocytes": lymphocytes, "lymphocytes_per_mm2": per_mm2}
