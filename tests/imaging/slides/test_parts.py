"""A slide of several files reads what lies beside it, a TIFF its own pages, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.decode import decode_image
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.parts import refuse_strays


def hamamatsu(path: Path, image: str, macro: str = "map.jpg") -> Path:
    """Write the list of files of a slide of one JPEG."""
    path.write_text(
        "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n"
        f"ImageFile={image}\nMapFile={macro}\nPhysicalWidth=100000\nPhysicalHeight=66666\n"
        "CreateDate=28/11/2026\nSourceLens=20\n"
    )
    return path


def jpeg(path: Path) -> None:
    pixels = np.arange(600 * 400 * 3, dtype=np.uint32).reshape(400, 600, 3) % 251
    Image.fromarray(pixels.astype(np.uint8)).save(path, restart_marker_rows=1)


def test_a_slide_of_several_files_is_read(tmp_path: Path) -> None:
    jpeg(tmp_path / "one.jpg")
    jpeg(tmp_path / "map.jpg")
    with open_slide(hamamatsu(tmp_path / "a.vms", "one.jpg"), 0.25) as slide:
        assert slide.facts.reader == "openslide:hamamatsu"
        assert slide.dimensions == (600, 400)


@pytest.mark.parametrize("name", ["../one.jpg", "/{}/one.jpg", "sub/../../one.jpg", "..\\one.jpg"])
def test_a_file_outside_its_folder_is_not_opened(tmp_path: Path, name: str) -> None:
    """Whatever the list is called: formats are found by content."""
    jpeg(tmp_path / "one.jpg")
    inner = tmp_path / "inner"
    (inner / "sub").mkdir(parents=True)
    jpeg(inner / "map.jpg")
    stray = name.format(tmp_path)
    for path in (
        hamamatsu(inner / "a.svs", stray),
        hamamatsu(inner / "b.vms", "map.jpg", macro=stray),
    ):
        with pytest.raises(ImageReadError, match="names a file outside its own folder"):
            open_slide(path, 0.25)


def test_a_list_of_mirax_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.mrxs"
    path.write_bytes(b"")
    (tmp_path / "a").mkdir()
    listing = tmp_path / "a/Slidedat.ini"
    for stray in ("FILE_0 = ../secret.dat", "INDEXFILE = /etc/Index.dat"):
        listing.write_text(f"[DATAFILE]\nFILE_COUNT = 1\n{stray}\n")
        with pytest.raises(ImageReadError, match=r"a\.mrxs: names a file outside"):
            refuse_strays(path, "mirax")
    listing.write_text("[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = Data0000.dat\nSLIDE_NAME = a/b\n")
    refuse_strays(path, "mirax")


@pytest.mark.parametrize("of", ["absolute", "relative"])
def test_pixels_that_lie_in_another_file_are_not_read(tmp_path: Path, of: str) -> None:
    """An OME-TIFF may name any file as the place of its pixels."""
    (tmp_path / "inner").mkdir()
    secret, own = tmp_path / "secret.tif", tmp_path / "inner/a.ome.tif"
    tifffile.imwrite(secret, np.full((600, 600, 3), (200, 20, 60), np.uint8), photometric="rgb")
    named = str(secret) if of == "absolute" else "../secret.tif"
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
        'SizeX="600" SizeY="600" SizeC="3" SizeZ="1" SizeT="1">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1">'
        f'<UUID FileName="{named}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    grey = np.full((600, 600, 3), 240, np.uint8)
    tifffile.imwrite(
        own, grey, photometric="rgb", tile=(256, 256), description=xml.encode(), metadata=None
    )
    assert (decode_image(own).pixels == 240).all()
    with open_slide(own, 0.5) as slide:
        assert (slide.read_region((0, 0, 600, 600), (600, 600)) == 240).all()
