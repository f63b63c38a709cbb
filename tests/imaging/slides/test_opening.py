"""Slides are opened by what is in them, and refused in one line."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from he_fields import he_field
from PIL import Image
from slide_files import BROKEN, CMU, OVERVIEW, tissue_on_glass, write_pyramid

from immunopath.domain.errors import ImageReadError, ResolutionError
from immunopath.domain.units import MppSource
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.openslide_reader import OpenSlideReader
from immunopath.imaging.slides.sample import is_slide
from immunopath.imaging.slides.tiff_reader import TiffReader


def test_a_vendors_slide_with_its_own_scale() -> None:
    with open_slide(CMU) as slide:
        assert slide.facts.reader == "openslide:aperio"
        assert slide.dimensions == (2220, 2967)
        assert (slide.mpp, slide.resolution.source) == (0.499, MppSource.vendor)
        assert "aperio.User" not in slide.facts.properties
        slide.require_known_scale()


def test_both_readers_see_the_same_pixels() -> None:
    ours, theirs = TiffReader(CMU), OpenSlideReader(CMU)
    for box in ((0, 0, 300, 200), (777, 1234, 501, 333), (2000, 2800, 220, 167)):
        assert np.array_equal(ours.read(0, *box), theirs.read(0, *box))


def test_a_pyramid_whatever_its_name(tmp_path: Path) -> None:
    rgb = he_field(700, 900)
    path = write_pyramid(tmp_path / "a.ome.tif", rgb, mpp=0.25)
    renamed = path.rename(tmp_path / "a.png")
    with open_slide(renamed) as slide:
        assert slide.facts.reader == "tifffile:OME-TIFF"
        assert [(level.width, level.height) for level in slide.facts.levels] == [
            (900, 700),
            (450, 350),
            (225, 175),
        ]
        assert (slide.mpp, slide.resolution.source) == (0.25, MppSource.tag)
        box = (310, 205, 301, 299)
        region = slide.read_region(box, (301, 299))
    assert np.array_equal(region, rgb[205:504, 310:611])


@pytest.mark.parametrize(
    "options",
    [
        {"tile": None, "rowsperstrip": 64},
        {"compression": "jpeg", "photometric": "ycbcr"},
        {"compression": "deflate", "predictor": True},
        {"bigtiff": True},
    ],
)
def test_layouts_of_tiff(tmp_path: Path, options: dict[str, object]) -> None:
    rgb = he_field(520, 610)
    big = {"bigtiff": True} if options.pop("bigtiff", False) else {}
    settings = {"tile": (128, 128), "photometric": "rgb"} | options
    with tifffile.TiffWriter(tmp_path / "a.tif", **big) as writer:
        writer.write(rgb, **settings)
    with open_slide(tmp_path / "a.tif", 0.5) as slide:
        assert slide.facts.reader.startswith("tifffile:")
        region = slide.read_region((100, 90, 300, 280), (300, 280))
    whole = tifffile.imread(tmp_path / "a.tif")
    assert np.array_equal(region, whole[90:370, 100:400])


@pytest.mark.parametrize("kind", ["png", "planar", "deep", "turned"])
def test_the_rest_is_decoded_as_a_whole(tmp_path: Path, kind: str) -> None:
    rgb, path = he_field(200, 300), tmp_path / "a.tif"
    if kind == "png":
        Image.fromarray(rgb).save(path, "PNG")
    elif kind == "planar":
        tifffile.imwrite(path, np.moveaxis(rgb, -1, 0), photometric="rgb", planarconfig="separate")
    elif kind == "deep":
        tifffile.imwrite(path, rgb.astype(np.uint16) * 257, photometric="rgb")
    else:
        tifffile.imwrite(path, rgb, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    with open_slide(path, 0.5) as slide:
        assert slide.facts.reader.startswith("image:")
        assert set(slide.dimensions) == {200, 300}


def test_transparent_parts_are_glass(tmp_path: Path) -> None:
    rgba = np.dstack([he_field(300, 300), np.full((300, 300), 255, np.uint8)])
    rgba[:, 150:, 3] = 0
    tifffile.imwrite(
        tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"], tile=(128, 128)
    )
    with open_slide(tmp_path / "a.tif", 0.5) as slide:
        region = slide.read_region((0, 0, 300, 300), (300, 300))
    assert (region[:, 150:] == 255).all()
    assert np.array_equal(region[:, :150], rgba[:, :150, :3])


def test_a_dicom_overview_is_read_and_its_scale_is_none_for_tiles(tmp_path: Path) -> None:
    with open_slide(OVERVIEW) as slide:
        assert slide.facts.reader == "openslide:dicom"
        assert slide.dimensions == (1152, 700)
        with pytest.raises(ResolutionError, match=r"28\.97 µm/px is no microscope scale"):
            slide.require_known_scale()
    shutil.copy(OVERVIEW, tmp_path / "0001")
    with open_slide(tmp_path) as of_folder:
        assert of_folder.dimensions == (1152, 700)


def finer_dicom(path: Path) -> Path:
    """Write the overview with a spacing of 0.5 µm: a wrong scale, to test the reading of it."""
    data = OVERVIEW.read_bytes()
    assert data.count(b"0.028968\\0.028969") == 1
    path.write_bytes(data.replace(b"0.028968\\0.028969", b"0.000500\\0.000500"))
    return path


def test_the_spacing_of_a_dicom_is_a_tag(tmp_path: Path) -> None:
    with open_slide(finer_dicom(tmp_path / "a.dcm")) as slide:
        assert (slide.mpp, slide.resolution.source) == (0.5, MppSource.tag)
        assert slide.read_region((256, 128, 512, 512), (512, 512)).std() > 3


def test_a_stated_scale_wins_and_says_so() -> None:
    with open_slide(CMU, 0.25) as slide:
        assert (slide.mpp, slide.resolution.source) == (0.25, MppSource.user)
        assert "contradicts" in slide.resolution.note
    with pytest.raises(ResolutionError, match="not a magnification"):
        open_slide(CMU, 40)


def test_no_scale_names_the_objective_that_proves_nothing(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tif", tissue_on_glass(600, 600), mpp=None)
    with open_slide(tmp_path / "a.tif") as slide:
        assert slide.resolution.source is MppSource.assumed
        with pytest.raises(ResolutionError, match=r"a.tif: states no resolution; state its micro"):
            slide.require_known_scale()


def damaged(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "bad.svs"
    content = {
        "empty": b"",
        "text": BROKEN.read_bytes(),
        "dicom": bytes(128) + b"DICM" + bytes(400),
        "svs": CMU.read_bytes()[:60_000],
        "tiff": b"II*\0" + bytes(600),
    }
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("empty", "is empty"),
        ("text", "is not an image but plain text"),
        ("dicom", "without a whole slide"),
        ("svs", "truncated or damaged"),
        ("tiff", "truncated or damaged"),
        ("folder", "a folder without a DICOM slide"),
    ],
)
def test_what_is_no_slide_is_refused_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(ImageReadError, match=said) as caught:
        open_slide(damaged(tmp_path, kind))
    assert "\n" not in str(caught.value)
    assert "bad.svs" in str(caught.value)


def test_hostile_paths_are_refused_in_one_line(tmp_path: Path) -> None:
    loop = tmp_path / "loop.svs"
    loop.symlink_to(loop)
    os.mkfifo(tmp_path / "pipe.svs")
    for path in (loop, tmp_path / ("x" * 300), tmp_path / "pipe.svs", Path("a\0b")):
        assert not is_slide(path)
        with pytest.raises(ImageReadError):
            open_slide(path)


def test_a_size_that_no_slide_has_is_refused_before_any_work(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif", he_field(64, 64), levels=1)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for name in ("ImageWidth", "ImageLength"):
            tif.pages[0].tags[name].overwrite(2**31)
    with pytest.raises(ImageReadError, match=r"no slide is that size|truncated or damaged"):
        open_slide(path, 0.5)


def test_damage_in_the_pixels_is_found_when_they_are_read(tmp_path: Path) -> None:
    data = bytearray(CMU.read_bytes())
    data[400_000:700_000] = bytes(300_000)
    (tmp_path / "bad.svs").write_bytes(data)
    with (
        open_slide(tmp_path / "bad.svs") as slide,
        pytest.raises(ImageReadError, match="truncated or damaged"),
    ):
        slide.thumbnail(8)
