"""The heat of whole slides for QuPath: every measured tile as a square with its numbers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from immunopath.domain.files import write_text
from immunopath.domain.heat import WINDOW_UM
from immunopath.domain.report import RESEARCH_USE
from immunopath.models.embedded.dense_cell import TileCount
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.reporting.heat_view import PHENOTYPE_COLOURS
from immunopath.reporting.text import visible

GLASS: Final = "glass"


def heat_geojson(slides: Sequence[DenseSlide]) -> Iterator[str]:
    """Yield a FeatureCollection in pieces, one tile a line.

    Squares are closed rings in level-0 pixels of their slide. A measured tile has its counts as
    measurements (a measurement map of them is the heat) and the phenotype of its window as class;
    one that was rejected has its reason as name, and neither class nor number, so that no map
    colours it. Places of glass are left out. With several slides each feature names its own.
    """
    head = {
        "type": "FeatureCollection",
        "research_use": RESEARCH_USE,
        "slides": [_about(slide) for slide in slides],
    }
    yield json.dumps(head)[:-1] + ', "features": ['
    separator = "\n"
    for slide in slides:
        for feature in _features(slide, several=len(slides) > 1):
            yield separator + json.dumps(feature, separators=(",", ":"))
            separator = ",\n"
    yield "\n]}\n"


def write_heat_geojson(path: Path, slides: Sequence[DenseSlide]) -> None:
    """Write `heat_geojson` at once or not at all; raises `OutputError`."""
    write_text(path, "".join(heat_geojson(slides)))


def _about(slide: DenseSlide) -> dict[str, Any]:
    found = slide.summary
    return {
        "name": visible(found.name),
        "sha256": found.sha256,
        "mpp": slide.plan.resolution.mpp,
        "engine": f"{found.source.engine} {found.source.revision}",
        "weights_digest": found.source.weights_digest,
        "tile_um": found.tile_um,
    }


def _features(slide: DenseSlide, *, several: bool) -> Iterator[dict[str, Any]]:
    per = round(WINDOW_UM / slide.summary.tile_um)
    calls = {call.square: call.phenotype for call in slide.windows}
    rejected = slide.plan.plan.rejected
    unread = (
        TileCount(place, rejected[place.column, place.row])
        for place in slide.plan.plan.places
        if (place.column, place.row) in rejected
    )
    for tile in (*slide.tiles, *unread):
        if tile.reason == GLASS:
            continue
        phenotype = calls.get((tile.place.column // per, tile.place.row // per))
        properties = _rejected(tile) if tile.reason else _measured(tile, phenotype)
        if several:
            properties["metadata"] = {"image": visible(slide.summary.name)}
        ring = _ring(tile)
        geometry = {"type": "Polygon", "coordinates": [ring]}
        yield {"type": "Feature", "geometry": geometry, "properties": properties}


def _ring(tile: TileCount) -> list[list[int]]:
    x, y, width, height = tile.place.box
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


def _rejected(tile: TileCount) -> dict[str, Any]:
    return {"objectType": "detection", "name": f"not measured: {tile.reason}"}


def _measured(tile: TileCount, phenotype: str | None) -> dict[str, Any]:
    numbers: dict[str, float] = {
        "n_nuclei": tile.n_nuclei,
        "n_lymphocytes": tile.n_lymphocytes,
        "tissue_mm2": round(tile.tissue_mm2, 6),
    }
    if tile.per_mm2 is not None:
        numbers["lymphocytes_per_mm2"] = round(tile.per_mm2, 1)
    if tile.n_nuclei:
        share = tile.n_lymphocytes / tile.n_nuclei
        numbers["lymphocyte_share_uncorrected"] = round(share, 4)
    found: dict[str, Any] = {
        "objectType": "detection",
        "name": f"heat {tile.place.column},{tile.place.row}",
        "measurements": numbers,
    }
    if phenotype is not None:
        colour = PHENOTYPE_COLOURS[phenotype]
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        found["classification"] = {"name": f"Window {phenotype}", "color": rgb}
    return found
