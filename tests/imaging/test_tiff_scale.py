"""What a TIFF says of its own scale: units, precedence, and what is no microscope's."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.units import MPP_MAX, MPP_MIN, MppSource, Resolution
from immunopath.imaging.tiff_scale import ANISOTROPY, MAX_PRINT_FREE_MPP, embedded_resolution

PIXELS = np.zeros((16, 16, 3), np.uint8)
few = settings(max_examples=30, deadline=None)
UNITS_UM = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
INCH, CENTIMETRE = 25_400.0, 10_000.0


def scale(**options: Any) -> tuple[Resolution | None, str]:
    """Write a TIFF with these options and return what it is said to state."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, PIXELS, photometric="rgb", **options)
    stream.seek(0)
    with tifffile.TiffFile(stream) as tif:
        return embedded_resolution(tif, tif.pages.first)


def ome(x: float, y: float | None = None, unit: str | None = "µm") -> dict[str, Any]:
    keys: dict[str, Any] = {"axes": "YXS", "PhysicalSizeX": x}
    if y is not None:
        keys["PhysicalSizeY"] = y
    if unit is not None:
        keys |= {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    return {"ome": True, "metadata": keys}


def described(text: str) -> dict[str, Any]:
    return {"description": text, "metadata": None}


def stated(**options: Any) -> Resolution:
    found, note = scale(**options)
    assert found is not None, note
    assert note == ""
    return found


@pytest.mark.parametrize(("unit", "um"), [("INCH", INCH), ("CENTIMETER", CENTIMETRE)])
@few
@given(mpp=st.floats(MPP_MIN, MAX_PRINT_FREE_MPP * 0.99))
def test_pixels_per_unit_become_micrometres_per_pixel(unit: str, um: float, mpp: float) -> None:
    found = stated(resolution=(um / mpp, um / mpp), resolutionunit=unit)
    assert found.mpp == pytest.approx(mpp, rel=1e-3)
    assert found.source is MppSource.tiff_resolution


@few
@given(st.sampled_from(sorted(UNITS_UM)), st.floats(MPP_MIN * 1.01, MPP_MAX * 0.99))
def test_ome_sizes_in_any_unit_are_the_same_length(unit: str, mpp: float) -> None:
    size = mpp / UNITS_UM[unit]
    found = stated(**ome(size, size, unit))
    assert found.mpp == pytest.approx(mpp)
    assert found.source is MppSource.tag


@pytest.mark.parametrize("options", [ome(0.5, 0.5, None), ome(0.5, None), ome(0.5, None, None)])
def test_ome_without_unit_means_micrometres_and_without_y_square_pixels(
    options: dict[str, Any],
) -> None:
    assert stated(**options).mpp == 0.5


@pytest.mark.parametrize("unit", ["pixel", "inch", "furlong", "reference frame"])
def test_a_unit_that_is_no_known_length_states_nothing(unit: str) -> None:
    assert scale(**ome(0.5, 0.5, unit)) == (None, "")


@few
@given(st.floats(0.2, 4), st.floats(0.9, 1.1))
def test_pixels_must_be_square_within_a_hundredth(mpp: float, stretch: float) -> None:
    found, note = scale(**ome(mpp, mpp * stretch))
    if abs(mpp - mpp * stretch) > ANISOTROPY * mpp:
        assert found is None
        assert "differs across" in note
        assert note.endswith("was ignored")
    else:
        assert found is not None
        assert found.mpp == mpp


@few
@given(st.floats(1e-4, 1e4))
def test_no_scale_outside_a_microscopes_range_is_believed(mpp: float) -> None:
    found, note = scale(**ome(mpp, mpp))
    if MPP_MIN <= mpp <= MPP_MAX:
        assert found is not None
    else:
        assert found is None
        assert "no microscope scale" in note


@pytest.mark.parametrize("dpi", [72, 96, 300, 600, 1200, 4800, 6300])
def test_a_printers_density_is_told_from_a_microscopes(dpi: float) -> None:
    found, note = scale(resolution=(dpi, dpi), resolutionunit="INCH")
    assert found is None
    assert "no microscope scale" in note


@pytest.mark.parametrize("per_pixel", [(0, 0), (20_000, 0), (0, 20_000)])
def test_a_resolution_of_zero_states_nothing(per_pixel: tuple[int, int]) -> None:
    assert scale(resolution=per_pixel, resolutionunit="CENTIMETER") == (None, "")


@pytest.mark.parametrize("unit", ["NONE", 1])
def test_a_resolution_without_a_unit_states_nothing(unit: str | int) -> None:
    assert scale(resolution=(20_000, 20_000), resolutionunit=unit) == (None, "")


@pytest.mark.parametrize(
    ("text", "mpp"),
    [
        ("Aperio Image Library v11\n|AppMag = 40|MPP = 0.2525|", 0.2525),
        ("Aperio|MPP=0.5", 0.5),
        ("Aperio|MPP = .25|Left = 2", 0.25),
        ("Aperio|MPP = 2.5e-1", 0.25),
    ],
)
def test_aperio_states_its_scale_in_its_description(text: str, mpp: float) -> None:
    found = stated(**described(text))
    assert (found.mpp, found.source) == (mpp, MppSource.vendor)


@pytest.mark.parametrize("text", ["Aperio|AppMag = 40", "Aperio|XMPP = 0.5", "MPP of 0.5", "MPP ="])
def test_a_magnification_is_no_scale(text: str) -> None:
    assert scale(**described(text)) == (None, "")


def test_an_impossible_vendor_scale_is_ignored_with_a_note() -> None:
    found, note = scale(**described("Aperio|MPP = 0"))
    assert found is None
    assert "vendor" in note


@pytest.mark.parametrize("unit", ["micron", "microns", "um", "\\u00B5m"])
def test_imagej_counts_pixels_per_micron(unit: str) -> None:
    found = stated(imagej=True, resolution=(4, 4), metadata={"unit": unit})
    assert found.mpp == pytest.approx(0.25)
    assert found.source is MppSource.tiff_resolution


@pytest.mark.parametrize("unit", ["inch", "pixel", "cm", ""])
def test_imagej_in_another_unit_states_nothing(unit: str) -> None:
    assert scale(imagej=True, resolution=(4, 4), metadata={"unit": unit})[0] is None


def test_the_most_trustworthy_key_wins() -> None:
    """OME before the vendor's description before the TIFF resolution."""
    tags = {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER"}
    assert stated(**ome(0.25, 0.25), **tags).mpp == 0.25
    assert stated(**described("Aperio|MPP = 0.5"), **tags).mpp == 0.5
    assert stated(**tags).mpp == pytest.approx(1.0)


def test_a_wrong_key_is_not_replaced_by_a_weaker_one() -> None:
    """Two statements that contradict each other are no knowledge: the user is asked."""
    tags = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    found, note = scale(**ome(900.0, 900.0), **tags)
    assert found is None
    assert "tag of 900" in note


@pytest.mark.parametrize(
    "xml", ["<OME><Image>", "<OME/>", "<OME><Pixels PhysicalSizeX='x'/></OME>"]
)
def test_broken_or_empty_ome_xml_states_nothing(xml: str) -> None:
    text = f'<?xml version="1.0"?>{xml}<!-- http://www.openmicroscopy.org/Schemas/OME -->'
    assert scale(**described(text)) == (None, "")
