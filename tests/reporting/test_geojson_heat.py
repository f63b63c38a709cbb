"""The heat for QuPath: squares inside the slide, numbers where something was measured."""

import json
from pathlib import Path
from typing import Any

import pytest
from dense_slides import made
from geojson_rules import require_rfc7946

from immunopath.domain.errors import OutputError
from immunopath.models.embedded.dense import run_dense
from immunopath.models.embedded.dense_plan import plan_dense
from immunopath.reporting.geojson_heat import heat_geojson, write_heat_geojson

CMU = Path(__file__).parents[1] / "data/slides/CMU-1-Small-Region.svs"


def collection(*slides: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(heat_geojson(slides)))
    return found


def test_measured_tiles_have_numbers_and_the_class_of_their_window() -> None:
    first, second, *_ = collection(made())["features"]
    own = first["properties"]
    assert own["objectType"] == "detection"
    assert own["measurements"] == {
        "n_nuclei": 500,
        "n_lymphocytes": 250,
        "tissue_mm2": 0.05,
        "lymphocytes_per_mm2": 5000.0,
        "lymphocyte_share_uncorrected": 0.5,
    }
    assert own["classification"] == {"name": "Window excluded", "color": [0, 114, 178]}
    assert second["properties"]["measurements"]["lymphocytes_per_mm2"] == 0.0
    assert first["geometry"]["coordinates"] == [
        [[1000, 500], [1500, 500], [1500, 1000], [1000, 1000], [1000, 500]]
    ]


def test_rejected_tiles_have_neither_class_nor_number_and_glass_is_left_out() -> None:
    features = collection(made())["features"]
    names = [feature["properties"].get("name") for feature in features]
    assert names == ["heat 0,0", "heat 1,0", "not measured: blur", "heat 2,1", "not measured: pen"]
    for feature in features:
        if feature["properties"]["name"].startswith("not"):
            assert set(feature["properties"]) == {"objectType", "name"}
    assert "classification" not in features[3]["properties"]  # measured, no phenotype


def test_engine_and_digest_are_in_the_head_and_several_slides_are_told_apart() -> None:
    one, two = collection(made()), collection(made(), made("T.svs"))
    assert one["slides"][0]["engine"].startswith("embedded-predictor")
    assert one["slides"][0]["sha256"] == "ab" * 32
    assert "Research use only" in one["research_use"]
    assert all("metadata" not in feature["properties"] for feature in one["features"])
    images = [feature["properties"]["metadata"]["image"] for feature in two["features"]]
    assert images == ["S.svs"] * 5 + ["T.svs"] * 5


def test_a_real_slide_keeps_the_rules_and_stays_inside(tmp_path: Path) -> None:
    found = run_dense(plan_dense(CMU, None))
    path = tmp_path / "h.geojson"
    write_heat_geojson(path, (found,))
    features = require_rfc7946(path)
    assert len(features) == 11
    for feature in features:
        for x, y in feature["geometry"]["coordinates"][0]:
            assert 0 <= x <= 2220
            assert 0 <= y <= 2967
    with pytest.raises(OutputError):
        write_heat_geojson(tmp_path, (found,))
