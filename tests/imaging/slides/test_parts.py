"""A slide of several files reads what lies beside it, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immunopath.domain.errors import ImageReadError
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
