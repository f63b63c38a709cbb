"""Files beside the report: QuPath's tiles, AnnData."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geojson_rules import require_rfc7946, signed_area

from immunopath.agents.context import Workspace
from immunopath.domain.case import Case
from immunopath.domain.errors import OutputError
from immunopath.domain.outcome import Failed
from immunopath.models.protocols import NucleiTable
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.side_files import SideFiles
from immunopath.reporting.anndata_tiles import tiles_anndata
from immunopath.reporting.geojson_tiles import tiles_geojson
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 24)


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, shared_images: Path
) -> tuple[RenderedReport, Path]:
    folder = tmp_path_factory.mktemp("beside")
    images = (
        shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif",
        shared_images / "lung_he_til/u24_cae100/image_99.png",
    )
    case = Case(case_id="two", patient_id="P", images=images)
    files = SideFiles(nuclei=folder / "n.json", tiles=folder / "t.json", anndata=folder / "t.h5ad")
    with ImmunoPath() as engines:
        report = engines.analyze(case, as_of=AS_OF, files=files, figures=False)
    return report, folder


def features(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["features"]
    return found


def test_tiles_lie_inside_their_image_and_sum_to_all_nuclei(
    written: tuple[RenderedReport, Path],
) -> None:
    report, folder = written
    tiles = features(folder / "t.json")
    assert [tile["properties"]["name"] for tile in tiles] == [t.tile_id for t in report.tiles]
    for tile in tiles:
        ring = tile["geometry"]["coordinates"][0]
        assert (ring[0], len(ring)) == (ring[-1], 5)
        image = report.images[int(tile["properties"]["metadata"]["image_index"])]
        assert all(0 <= x <= image.width and 0 <= y <= image.height for x, y in ring)
    counted = sum(t["properties"]["measurements"].get("n_nuclei", 0) for t in tiles)
    assert counted == len(features(folder / "n.json"))


def test_both_files_keep_the_rules_of_geojson_and_lie_inside_their_image(
    written: tuple[RenderedReport, Path],
) -> None:
    report, folder = written
    assert len(require_rfc7946(folder / "t.json")) == len(report.tiles)
    nuclei = require_rfc7946(folder / "n.json")
    assert nuclei
    for nucleus in nuclei:
        image = report.images[int(nucleus["properties"]["metadata"]["image_index"])]
        x, y = nucleus["geometry"]["coordinates"]
        assert 0 <= x <= image.width
        assert 0 <= y <= image.height


def test_a_ring_the_other_way_round_or_open_is_caught(tmp_path: Path) -> None:
    good = [[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]
    assert signed_area(good) == 4
    for ring in (good[::-1], good[:-1]):
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {},
        }
        path = tmp_path / "t.json"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
        with pytest.raises(AssertionError, match=r"3\.1\.6"):
            require_rfc7946(path)


def test_anndata_lies_inside_its_images_and_survives_a_round_trip(
    written: tuple[RenderedReport, Path], tmp_path: Path
) -> None:
    anndata = pytest.importorskip("anndata")
    report, folder = written
    data = anndata.read_h5ad(folder / "t.h5ad")
    sizes = {image.name: (image.width, image.height) for image in report.images}
    for (x, y), name in zip(data.obsm["spatial"], data.obs["image"], strict=True):
        width, height = sizes[name]
        assert 0 < x < width
        assert 0 < y < height
    assert (data.obs["x"] + data.obs["width"] <= [sizes[n][0] for n in data.obs["image"]]).all()
    assert (data.obs["y"] + data.obs["height"] <= [sizes[n][1] for n in data.obs["image"]]).all()
    data.write_h5ad(tmp_path / "again.h5ad")
    again = anndata.read_h5ad(tmp_path / "again.h5ad")
    assert np.array_equal(again.X, data.X)
    assert again.obs.equals(data.obs)
    assert again.uns["immunopath"]["predictions"] == data.uns["immunopath"]["predictions"]


def test_anndata_holds_places_counts_vectors_and_predictions(
    written: tuple[RenderedReport, Path],
) -> None:
    anndata = pytest.importorskip("anndata")
    report, folder = written
    data = anndata.read_h5ad(folder / "t.h5ad")
    tiles = [t for t in report.tiles if t.quality.verdict != "refuse"]
    assert list(data.obs_names) == [tile.tile_id for tile in tiles]
    assert np.allclose(np.linalg.norm(data.X, axis=1), 1, atol=1e-5)
    assert data.obsm["spatial"][0].tolist() == [
        tiles[0].box[0] + tiles[0].box[2] / 2,
        tiles[0].box[1] + tiles[0].box[3] / 2,
    ]
    assert data.obs["n_nuclei"].sum() > 0
    about = data.uns["immunopath"]
    assert "Research use only" in about["research_use"]
    assert about["embedding"]["engine"] == "embedded-embedder"
    predictions = json.loads(about["predictions"])
    assert predictions["til_fraction"]["value"] == report.profile.til_fraction.value


def test_without_an_embedder_the_file_says_why_there_are_no_vectors(
    tmp_path: Path, shared_images: Path
) -> None:
    anndata = pytest.importorskip("anndata")
    case = Case(
        case_id="a", images=(shared_images / "lung_he_til/u24_cae100/image_99.png",), mpp=0.5
    )
    with ImmunoPath(embedder="none", predictor="none") as engines:
        engines.analyze(case, as_of=AS_OF, files=SideFiles(anndata=tmp_path / "t.h5ad"))
    data = anndata.read_h5ad(tmp_path / "t.h5ad")
    assert data.shape[1] == 0
    assert "switched off" in data.uns["immunopath"]["embedding"]["missing"]
    assert "n_nuclei" not in data.obs


def test_nuclei_and_vectors_of_an_earlier_round_are_none_of_a_round_that_failed(
    written: tuple[RenderedReport, Path], tmp_path: Path
) -> None:
    anndata = pytest.importorskip("anndata")
    report, _ = written
    one = np.zeros(1, np.float32)
    yes = np.ones(1, np.bool_)
    table = NucleiTable(one, one, np.zeros(1, np.int32), one, one, yes, yes)
    left = Workspace(nuclei=table, vectors=np.ones((1, 8), np.float32))
    gone = Failed(error_id="EngineTimeout", message="no answer within 5 s")
    failed = report.model_copy(update={"morphometry": None, "retrieval": gone})
    SideFiles(tiles=tmp_path / "t.json", anndata=tmp_path / "t.h5ad").write(failed, left)
    for tile in features(tmp_path / "t.json"):
        assert list(tile["properties"]["measurements"]) == ["tissue_share"]
    data = anndata.read_h5ad(tmp_path / "t.h5ad")
    assert data.shape[1] == 0
    assert "n_nuclei" not in data.obs
    assert "no answer within 5 s" in data.uns["immunopath"]["embedding"]["missing"]
    with pytest.raises(OutputError, match="no nuclei were counted"):
        SideFiles(nuclei=tmp_path / "n.json").write(failed, left)


def test_a_case_without_tiles_has_no_file(tmp_path: Path, shared_images: Path) -> None:
    pytest.importorskip("anndata")
    case = Case(case_id="cat", images=(shared_images / "negatives/skimage_chelsea.png",))
    with ImmunoPath() as engines, pytest.raises(OutputError, match="no accepted tile"):
        engines.analyze(case, as_of=AS_OF, files=SideFiles(anndata=tmp_path / "t.h5ad"))
    assert not list(tmp_path.iterdir())


def test_of_a_slide_every_place_is_one_on_the_slide(
    written: tuple[RenderedReport, Path],
) -> None:
    pytest.importorskip("anndata")
    report, _ = written
    size = (report.images[1].width, report.images[1].height)
    moved = report.images[1].model_copy(update={"region": (1000, 2000, *size)})
    slide = report.model_copy(update={"images": (report.images[0], moved)})
    before, after = (tiles_geojson(r)["features"] for r in (report, slide))
    for one, other in zip(before, after, strict=True):
        (x, y), corner = (f["geometry"]["coordinates"][0][0] for f in (one, other))
        second = one["properties"]["metadata"]["image_index"] == "1"
        assert corner == ([x + 1000, y + 2000] if second else [x, y])
    data = tiles_anndata(slide, None)
    last = slide.tiles[-1].box
    assert data.obsm["spatial"][-1].tolist() == [
        1000 + last[0] + last[2] / 2,
        2000 + last[1] + last[3] / 2,
    ]
