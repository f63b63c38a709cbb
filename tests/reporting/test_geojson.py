"""Nuclei leave as QuPath detections in level-0 pixels."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from immunopath.domain.errors import OutputError
from immunopath.domain.report import RESEARCH_USE
from immunopath.models.protocols import NucleiTable
from immunopath.reporting.geojson import nuclei_geojson, write_nuclei_geojson

SCHEMA = {
    "type": "object",
    "required": ["type", "features", "research_use"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "additionalProperties": False,
                "properties": {
                    "type": {"const": "Feature"},
                    "geometry": {
                        "type": "object",
                        "required": ["type", "coordinates"],
                        "properties": {
                            "type": {"const": "Point"},
                            "coordinates": {
                                "type": "array",
                                "items": {"type": "number"},
                                "minItems": 2,
                                "maxItems": 2,
                            },
                        },
                    },
                    "properties": {
                        "type": "object",
                        "required": ["objectType", "classification", "measurements"],
                        "properties": {
                            "objectType": {"const": "detection"},
                            "classification": {
                                "type": "object",
                                "required": ["name", "color"],
                                "properties": {
                                    "color": {
                                        "type": "array",
                                        "items": {"type": "integer", "minimum": 0, "maximum": 255},
                                        "minItems": 3,
                                        "maxItems": 3,
                                    }
                                },
                            },
                            "measurements": {
                                "type": "object",
                                "additionalProperties": {"type": "number"},
                            },
                            "metadata": {
                                "type": "object",
                                "additionalProperties": {"type": "string"},
                            },
                        },
                    },
                },
            },
        },
    },
}


def table(n: int, images: int = 1) -> NucleiTable:
    """Return `n` nuclei on a diagonal, lymphocytes first, spread over `images`."""
    steps = np.arange(n, dtype=np.float32)
    return NucleiTable(
        x_um=steps * 10,
        y_um=steps * 20,
        image_index=(np.arange(n) % images).astype(np.int32),
        area_um2=np.full(n, 33.25, np.float32),
        p_lymphocyte=np.linspace(1, 0, n, dtype=np.float32),
        is_lymphocyte=steps < n / 2,
        in_nest=steps % 2 == 0,
    )


def read(nuclei: NucleiTable, *args: Any) -> Any:
    return json.loads("".join(nuclei_geojson(nuclei, *args)))


@pytest.mark.parametrize("n", [0, 1, 7])
def test_it_is_valid(n: int) -> None:
    found = read(table(n), [0.5])
    jsonschema.validate(found, SCHEMA)
    assert len(found["features"]) == n
    assert found["research_use"] == RESEARCH_USE


def test_places_are_level_zero_pixels_of_the_own_image() -> None:
    found = read(table(4, images=2), [0.5, 0.25], ["a.tif", "b\n.tif"])
    places = [feature["geometry"]["coordinates"] for feature in found["features"]]
    assert places == [[0, 0], [40, 80], [40, 80], [120, 240]]
    names = [feature["properties"]["metadata"]["image"] for feature in found["features"]]
    assert names == ["a.tif", "b\\n.tif", "a.tif", "b\\n.tif"]


def test_places_in_a_region_are_those_of_its_slide() -> None:
    found = read(table(2, images=2), [0.5, 0.5], ["a", "b"], [(0, 0), (1000, 2000)])
    places = [feature["geometry"]["coordinates"] for feature in found["features"]]
    assert places == [[0, 0], [1020, 2040]]


def test_classes_and_measurements_are_kept() -> None:
    first, last = (read(table(2), [0.5])["features"][i]["properties"] for i in (0, 1))
    assert first["classification"]["name"] == "Lymphocyte"
    assert last["classification"]["name"] == "Other nucleus"
    assert first["classification"]["color"] != last["classification"]["color"]
    assert first["measurements"] == {"p_lymphocyte": 1, "Area µm^2": 33.25, "in_nest": 1}
    assert "metadata" not in first


def test_a_measurement_that_is_no_number_is_left_out() -> None:
    nuclei = table(1)
    nuclei.area_um2[0] = np.nan
    assert "Area µm^2" not in read(nuclei, [0.5])["features"][0]["properties"]["measurements"]


def test_a_nucleus_that_cannot_be_placed_is_refused() -> None:
    nuclei = table(2)
    nuclei.x_um[1] = np.inf
    with pytest.raises(ValueError, match="finite centroid"):
        read(nuclei, [0.5])
    with pytest.raises(ValueError, match="nuclei of image 1, mpp of 1"):
        read(table(2, images=2), [0.5])


def test_a_hundred_thousand_nuclei_stay_compact(tmp_path: Path) -> None:
    write_nuclei_geojson(tmp_path / "nuclei.geojson", table(100_000), [0.5])
    text = (tmp_path / "nuclei.geojson").read_text("utf-8")
    assert len(text) < 26_000_000
    assert text.count('"type":"Feature"') == 100_000


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_nuclei_geojson(tmp_path, table(1), [0.5])
    assert list(tmp_path.iterdir()) == []
