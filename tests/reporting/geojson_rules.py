"""What RFC 7946 asks of a file of features, as far as points and polygons go."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema

_POSITION = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}
_RING = {"type": "array", "items": _POSITION, "minItems": 4}
_GEOMETRY = {
    "oneOf": [
        {"properties": {"type": {"const": "Point"}, "coordinates": _POSITION}},
        {
            "properties": {
                "type": {"const": "Polygon"},
                "coordinates": {"type": "array", "items": _RING, "minItems": 1},
            }
        },
    ],
    "required": ["type", "coordinates"],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "geometry": _GEOMETRY,
                    "properties": {"type": ["object", "null"]},
                },
                "not": {"anyOf": [{"required": [k]} for k in ("features", "coordinates")]},
            },
        },
    },
    "not": {"anyOf": [{"required": [k]} for k in ("geometry", "coordinates", "crs")]},
}


def signed_area(ring: list[list[float]]) -> float:
    """Return twice the area, positive for a ring that runs counterclockwise in its numbers."""
    return sum(x * v - u * y for (x, y), (u, v) in pairwise(ring))


def require_rfc7946(path: Path) -> list[dict[str, Any]]:
    """Return the features; fails for what the text of the RFC forbids."""

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    data = json.loads(path.read_bytes().decode("utf-8"), parse_constant=no_constant)
    jsonschema.validate(data, SCHEMA)
    for feature in data["features"]:
        geometry = feature["geometry"]
        rings = geometry["coordinates"] if geometry["type"] == "Polygon" else []
        flat = [n for ring in rings for position in ring for n in position]
        assert all(math.isfinite(n) for n in flat)
        for number, ring in enumerate(rings):
            assert ring[0] == ring[-1], "3.1.6: the first and last position are the same"
            outside = signed_area(ring) > 0
            assert outside is (number == 0), "3.1.6: right-hand rule"
    found: list[dict[str, Any]] = data["features"]
    return found
