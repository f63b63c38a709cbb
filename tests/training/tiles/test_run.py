"""A folder of tiles from slides: right result or right refusal for each, and the same again."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from he_fields import he_field
from slide_files import BROKEN, CMU, GLASS, OVERVIEW, halved, tissue_on_glass, write_pyramid

from immunopath.domain.errors import EngineUnavailable, OutputError
from immunopath.imaging.decode import decode_image
from immunopath.imaging.slides.plan import TileRules
from immunopath.imaging.stain import StainMethod
from immunopath.imaging.tile_manifest import TileRow, read_tiles
from immunopath.training.tiles import run
from immunopath.training.tiles.inputs import SlideInput, collect
from immunopath.training.tiles.record import TilingRecord, TilingSettings
from immunopath.training.tiles.run import tile_slides

SMALL = TilingSettings(rules=TileRules(size_px=256), max_tiles=3, clusters=3, seed=7)


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_vendors_slide_end_to_end(tmp_path: Path) -> None:
    record = tile_slides(collect([CMU]), tmp_path, SMALL)
    (slide,) = record.slides
    assert (slide.status, slide.mpp, slide.mpp_source) == ("tiled", 0.499, "vendor")
    assert slide.grid == slide.accepted + sum(slide.rejected.values())
    rows = read_tiles(tmp_path / "tiles.parquet")
    assert len(rows) == slide.accepted
    kept = [row for row in rows if row.selected]
    assert len(kept) == slide.selected == 3
    assert {row.cluster for row in kept} == {0, 1, 2}
    for row in kept:
        assert row.file is not None
        tile = decode_image(tmp_path / row.file)
        assert tile.pixels.shape == (256, 256, 3)
        assert tile.sha256 == row.sha256
        assert row.x + row.width <= slide.width
    assert all(row.file is None for row in rows if not row.selected)
    assert slide.thumbnail is not None
    assert decode_image(tmp_path / slide.thumbnail).format == "PNG"
    assert TilingRecord.model_validate_json((tmp_path / "tiles.json").read_text()) == record


def test_the_same_seed_gives_the_same_bytes_with_processes_too(tmp_path: Path) -> None:
    for name, workers in (("a", 0), ("b", 2)):
        tile_slides(collect([CMU]), tmp_path / name, SMALL, workers=workers)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    other = SMALL.model_copy(update={"seed": 8})
    tile_slides(collect([CMU]), tmp_path / "c", other)
    assert digest(tmp_path / "c") != digest(tmp_path / "a")


def test_without_a_limit_every_usable_tile_is_written(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"max_tiles": None, "image_format": "jpg"})
    (slide,) = tile_slides(collect([CMU]), tmp_path, settings).slides
    rows = read_tiles(tmp_path / "tiles.parquet")
    assert len(rows) == slide.accepted == slide.selected
    assert all(row.selected and row.file and row.file.endswith(".jpg") for row in rows)
    assert len(list((tmp_path / "tiles").rglob("*.jpg"))) == len(rows)


def test_right_result_or_right_refusal_for_each(tmp_path: Path) -> None:
    empty = np.full((700, 900, 3), GLASS, np.uint8)
    empty[300:330, 400:430] = he_field(30, 30)
    write_pyramid(tmp_path / "almost_empty.tif", empty)
    write_pyramid(tmp_path / "no_mpp.tif", tissue_on_glass(900, 900), mpp=None)
    write_pyramid(tmp_path / "tiny.tif", he_field(120, 120), levels=1)
    slides = [
        CMU,
        OVERVIEW,
        BROKEN,
        *(tmp_path / f"{n}.tif" for n in ("almost_empty", "no_mpp", "tiny")),
    ]
    record = tile_slides(collect([*slides, tmp_path / "missing.svs"]), tmp_path / "out", SMALL)
    found = {slide.slide_id: slide for slide in record.slides}
    assert {name: slide.status for name, slide in found.items()} == {
        "CMU-1-Small-Region": "tiled", "overview": "refused", "broken": "refused",
        "almost_empty": "no_tissue", "no_mpp": "refused", "tiny": "no_tissue",
        "missing": "refused",
    }  # fmt: skip
    assert "28.97 µm/px is no microscope scale" in found["overview"].reason
    assert "plain text" in found["broken"].reason
    assert "states no resolution" in found["no_mpp"].reason
    assert "no such file" in found["missing"].reason
    assert found["almost_empty"].reason.startswith("no usable tile of 6 (6 glass); tissue covers")
    assert "smaller than one tile of 128 µm" in found["tiny"].reason
    shown = found["almost_empty"].thumbnail
    assert shown is not None
    assert (tmp_path / "out" / shown).is_file()
    rows = read_tiles(tmp_path / "out" / "tiles.parquet")
    assert {row.slide_id for row in rows} == {"CMU-1-Small-Region"}


def test_a_stated_scale_makes_the_same_tiles(tmp_path: Path) -> None:
    rgb = tissue_on_glass(900, 900)
    stated = write_pyramid(tmp_path / "a.tif", rgb, mpp=None)
    told = write_pyramid(tmp_path / "b.tif", rgb, mpp=0.5)
    slides = [SlideInput("a", "P", stated, 0.5), SlideInput("b", "P", told)]
    tile_slides(slides, tmp_path / "out", SMALL)
    one, two = by_slide(tmp_path / "out")
    assert [row.sha256 for row in one] == [row.sha256 for row in two]
    assert {row.mpp_source for row in one} == {"user"}
    assert {row.mpp_source for row in two} == {"tag"}


def by_slide(folder: Path) -> list[list[TileRow]]:
    rows = read_tiles(folder / "tiles.parquet")
    return [[r for r in rows if r.slide_id == name] for name in sorted({r.slide_id for r in rows})]


def test_a_slide_and_its_halved_copy_give_the_same_tiles(tmp_path: Path) -> None:
    fine = np.asarray(cv2.resize(tissue_on_glass(900, 900), (1800, 1800)), np.uint8)
    write_pyramid(tmp_path / "a.tif", fine, mpp=0.25)
    write_pyramid(tmp_path / "b.tif", halved(fine), mpp=0.5)
    tile_slides(collect([tmp_path / "a.tif", tmp_path / "b.tif"]), tmp_path / "out", SMALL)
    one, two = by_slide(tmp_path / "out")
    assert len(one) == len(two) == 4
    for a, b in zip(one, two, strict=True):
        assert (a.x * a.mpp, a.y * a.mpp) == (b.x * b.mpp, b.y * b.mpp)
        assert a.tissue == pytest.approx(b.tissue, abs=0.01)
        assert a.selected == b.selected
        if a.file and b.file:
            left, right = (decode_image(tmp_path / "out" / f).pixels for f in (a.file, b.file))
            assert np.abs(left.astype(int) - right).max() <= 1


@pytest.mark.parametrize("method", [StainMethod.reinhard, StainMethod.macenko])
def test_normalisation_is_on_the_record(tmp_path: Path, method: StainMethod) -> None:
    settings = SMALL.model_copy(update={"normalise": method})
    (slide,) = tile_slides(collect([CMU]), tmp_path / "a", settings).slides
    assert slide.stain is not None
    assert slide.stain.method is method
    assert slide.stain.failed == ""
    (plain,) = tile_slides(collect([CMU]), tmp_path / "b", SMALL).slides
    assert plain.stain is None
    assert {row.stain for row in read_tiles(tmp_path / "a" / "tiles.parquet")} == {method.value}
    assert {row.stain for row in read_tiles(tmp_path / "b" / "tiles.parquet")} == {"none"}
    assert (slide.accepted, slide.rejected) == (plain.accepted, plain.rejected)


def test_a_hostile_slide_id_stays_in_the_folder(tmp_path: Path) -> None:
    slides = [SlideInput("../../up", "P", CMU), SlideInput("a/b\n", "P", CMU)]
    tile_slides(slides, tmp_path / "deep" / "out", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    rows = read_tiles(tmp_path / "deep" / "out" / "tiles.parquet")
    assert {row.slide_id for row in rows} == {"../../up", "a/b\n"}


def test_a_slide_that_breaks_midway_leaves_no_tile(tmp_path: Path) -> None:
    """Its thumbnail is a level of its own; the damage lies in the pixels of level 0."""
    rgb, path = tissue_on_glass(900, 900), tmp_path / "a.tif"
    write_pyramid(path, rgb, levels=5, compression="deflate")
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[10]
    data = bytearray(path.read_bytes())
    data[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    settings = SMALL.model_copy(update={"max_tiles": None})
    tile_slides(collect([path]), tmp_path / "out", settings)
    assert not list(tmp_path.glob("out/*"))
    record = tile_slides(collect([path, CMU]), tmp_path / "out", settings)
    assert [slide.status for slide in record.slides] == ["refused", "tiled"]
    assert len(list((tmp_path / "out" / "tiles").iterdir())) == 1


def test_a_missing_package_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "sklearn" else name)
    with pytest.raises(EngineUnavailable, match=r"'sklearn' is not installed: pip install"):
        tile_slides(collect([CMU]), tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_tiles_is_left_alone(tmp_path: Path) -> None:
    tile_slides(collect([CMU]), tmp_path, SMALL)
    before = digest(tmp_path)
    with pytest.raises(OutputError, match="already holds tiles"):
        tile_slides(collect([BROKEN]), tmp_path, SMALL)
    assert digest(tmp_path) == before


def test_only_refused_slides_write_nothing_and_the_folder_can_be_used(tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = tile_slides(collect([BROKEN]), out, SMALL)
    assert [slide.status for slide in record.slides] == ["refused"]
    assert not out.exists()
    tile_slides(collect([CMU]), out, SMALL)
    assert read_tiles(out / "tiles.parquet")


def test_only_empty_slides_leave_their_thumbnails_and_the_folder_can_be_used(
    tmp_path: Path,
) -> None:
    strict = SMALL.model_copy(update={"rules": SMALL.rules.model_copy(update={"min_tissue": 1})})
    record = tile_slides(collect([CMU]), tmp_path, strict)
    assert [slide.status for slide in record.slides] == ["no_tissue"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thumbnails", "tiles.json"]
    tile_slides(collect([CMU]), tmp_path, SMALL)
    assert read_tiles(tmp_path / "tiles.parquet")
    assert json.loads((tmp_path / "tiles.json").read_text())["slides"][0]["status"] == "tiled"
