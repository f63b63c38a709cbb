"""TIFF in its many kinds, written here: colours, layout, and the scale each states."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from he_fields import he_field
from PIL import Image

from immunopath.domain.errors import ImageReadError
from immunopath.domain.units import MppSource
from immunopath.imaging.decode import DecodedImage, decode_image

FIELD = he_field(150, 170, seed=11)
GREY = FIELD[..., 1]


def through(path: Path, data: npt.NDArray[Any], **options: Any) -> DecodedImage:
    tifffile.imwrite(path, data, **options)
    return decode_image(path)


def refusal(path: Path, data: npt.NDArray[Any], **options: Any) -> str:
    with pytest.raises(ImageReadError) as caught:
        through(path, data, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "field.tif"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 16},
        {"tile": (64, 64)},
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "tile": (64, 64)},
        {"compression": "zstd"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"planarconfig": "separate", "data": "planar"},
    ],
    ids=str,
)
def test_lossless_layouts_are_read_exactly(path: Path, options: dict[str, Any]) -> None:
    options = dict(options)
    planar = options.pop("data", None)
    data = np.moveaxis(FIELD, -1, 0) if planar else FIELD
    found = through(path, data, photometric="rgb", **options)
    assert np.array_equal(found.pixels, FIELD)
    assert found.embedded is None
    assert found.notes == ()


def test_the_format_is_named(path: Path) -> None:
    assert through(path, FIELD, photometric="rgb").format == "TIFF"
    assert through(path, FIELD, photometric="rgb", bigtiff=True).format == "BigTIFF"
    assert through(path, FIELD, photometric="rgb", ome=True).format == "OME-TIFF"
    assert through(path, FIELD, photometric="rgb", imagej=True).format == "ImageJ TIFF"


@pytest.mark.parametrize("options", [{"tile": (64, 64)}, {"rowsperstrip": 16}], ids=str)
def test_jpeg_in_tiff_comes_out_as_rgb(path: Path, options: dict[str, Any]) -> None:
    found = through(
        path, FIELD, photometric="rgb", compression="jpeg", compressionargs={"level": 98}, **options
    )
    assert np.abs(found.pixels.astype(int) - FIELD).mean() < 10
    assert found.pixels[..., 0].mean() == pytest.approx(FIELD[..., 0].mean(), abs=2)


@pytest.mark.parametrize(
    ("kind", "glass"), [("unassalpha", (255, 255, 255)), ("assocalpha", (255, 255, 255))]
)
def test_alpha_of_both_kinds_is_composited_on_white(
    path: Path, kind: str, glass: tuple[int, int, int]
) -> None:
    alpha = np.full(FIELD.shape[:2], 255, np.uint8)
    alpha[:, :50], alpha[:, 50:100] = 0, 100
    colour = FIELD.copy()
    if kind == "assocalpha":
        colour = np.round(FIELD * (alpha[..., None] / 255)).astype(np.uint8)
    found = through(path, np.dstack([colour, alpha]), photometric="rgb", extrasamples=[kind])
    assert (found.pixels[:, :50] == glass).all()
    half = FIELD[:, 50:100] * (100 / 255) + 155
    assert np.abs(found.pixels[:, 50:100] - half).max() < 2
    assert np.array_equal(found.pixels[:, 100:], FIELD[:, 100:])
    assert "transparent parts were composited on white" in found.notes


def test_grey_of_both_polarities(path: Path) -> None:
    for photometric, expected in (("minisblack", GREY), ("miniswhite", 255 - GREY)):
        found = through(path, GREY, photometric=photometric)
        assert np.array_equal(found.pixels, np.dstack([expected] * 3))
        assert found.notes == ("a grey image: three equal channels",)


def test_one_bit_images(path: Path) -> None:
    found = through(path, GREY > 128, photometric="minisblack")
    assert np.array_equal(found.pixels[..., 0], (GREY > 128) * 255)


def test_palette_colours_are_expanded(path: Path) -> None:
    palette = Image.fromarray(FIELD).quantize(32)
    palette.save(path)
    assert np.array_equal(decode_image(path).pixels, np.asarray(palette.convert("RGB")))


def test_cmyk_is_converted(path: Path) -> None:
    found = through(
        path, np.asarray(Image.fromarray(FIELD).convert("CMYK")), photometric="separated"
    )
    assert np.abs(found.pixels.astype(int) - FIELD).max() <= 1
    assert found.notes == ("CMYK was converted to RGB without a colour profile",)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_sixteen_bit_samples_are_scaled_by_their_true_depth(path: Path, bits: int) -> None:
    deep = np.round(FIELD * ((2**bits - 1) / 255)).astype(np.uint16)
    deep[0, 0] = 2**bits - 1
    found = through(path, deep, photometric="rgb")
    assert np.abs(found.pixels[1:].astype(int) - FIELD[1:]).max() <= 1
    assert f"scaled from {bits} to 8 bits" in found.notes[0]


def test_a_deep_alpha_channel_does_not_darken_the_colours(path: Path) -> None:
    deep = np.round(FIELD * (4095 / 255)).astype(np.uint16)
    deep[0, 0] = 4095
    opaque = np.full(FIELD.shape[:2], 65_535, np.uint16)
    found = through(path, np.dstack([deep, opaque]), photometric="rgb", extrasamples=["unassalpha"])
    assert np.abs(found.pixels[1:].astype(int) - FIELD[1:]).max() <= 1


def test_four_bit_and_one_bit_samples(path: Path) -> None:
    Image.fromarray(FIELD).quantize(2).save(path, bits=1)
    assert np.unique(decode_image(path).pixels.reshape(-1, 3), axis=0).shape[0] == 2
    grey = through(path, GREY >> 4, photometric="minisblack", bitspersample=4)
    assert np.array_equal(grey.pixels[..., 0], (GREY >> 4) * 17)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_orientation_tag_is_applied(path: Path, orientation: int) -> None:
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    extra = [(274, "H", 1, orientation, True)]
    found = through(path, FIELD, photometric="rgb", extratags=extra)
    assert np.array_equal(found.pixels, np.rot90(FIELD, turns))


def test_of_several_pages_the_first_is_used(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in (FIELD, FIELD[:50, :60], FIELD[:20]):
            writer.write(page, photometric="rgb")
    found = decode_image(path)
    assert np.array_equal(found.pixels, FIELD)
    assert found.notes == ("only the first of 3 pages is used",)


def test_a_focus_stack_uses_its_first_plane(path: Path) -> None:
    stack = np.stack([FIELD, FIELD[::-1]])
    found = through(path, stack, photometric="rgb", metadata={"axes": "ZYXS"})
    assert np.array_equal(found.pixels, FIELD)
    assert "only the first of 2 pages is used" in found.notes


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}], ids=str)
def test_separate_channels_are_refused_by_name(path: Path, options: dict[str, Any]) -> None:
    channels = np.moveaxis(FIELD, -1, 0)
    text = refusal(path, channels, photometric="minisblack", metadata={"axes": "CYX"}, **options)
    assert "3 separate channels that are not stated to be red, green and blue" in text


def test_three_pages_of_equal_size_are_ambiguous(path: Path) -> None:
    assert "separate channels" in refusal(path, np.stack([GREY] * 3), photometric="minisblack")


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32, np.float64])
def test_samples_without_a_known_white_are_refused_by_name(path: Path, dtype: type) -> None:
    text = refusal(path, FIELD.astype(dtype), photometric="rgb")
    assert f"holds {np.dtype(dtype)} samples" in text


@pytest.mark.parametrize("samples", [5, 8])
def test_more_than_four_channels_are_refused_by_name(path: Path, samples: int) -> None:
    data = np.repeat(GREY[..., None], samples, axis=2)
    text = refusal(path, data, photometric="rgb", planarconfig="contig")
    assert f"holds {samples} channels" in text


def test_a_fourth_channel_of_unknown_meaning_is_refused(path: Path) -> None:
    data = np.dstack([FIELD, GREY])
    text = refusal(path, data, photometric="rgb", extrasamples=["unspecified"])
    assert "holds 4 channels" in text


def test_an_unsupported_colour_space_is_refused_by_name(path: Path) -> None:
    assert "CIELAB" in refusal(path, FIELD, photometric="cielab")


@pytest.mark.parametrize(
    ("unit", "size", "mpp"), [("µm", 0.25, 0.25), ("nm", 250.0, 0.25), ("mm", 0.0005, 0.5)]
)
def test_ome_states_its_scale(path: Path, unit: str, size: float, mpp: float) -> None:
    keys = {f"PhysicalSize{a}": size for a in "XY"} | {f"PhysicalSize{a}Unit": unit for a in "XY"}
    found = through(path, FIELD, photometric="rgb", ome=True, metadata={"axes": "YXS", **keys})
    assert found.embedded is not None
    assert found.embedded.mpp == pytest.approx(mpp)
    assert found.embedded.source is MppSource.tag
    assert np.array_equal(found.pixels, FIELD)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}, "differs across"),
        ({"PhysicalSizeX": 400.0, "PhysicalSizeY": 400.0}, "no microscope scale"),
    ],
)
def test_an_implausible_ome_scale_is_ignored_with_a_note(
    path: Path, keys: dict[str, Any], said: str
) -> None:
    found = through(path, FIELD, photometric="rgb", ome=True, metadata={"axes": "YXS", **keys})
    assert found.embedded is None
    assert any(said in note for note in found.notes)


@pytest.mark.parametrize(
    "keys",
    [{}, {"PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}],
    ids=str,
)
def test_ome_without_a_physical_unit_states_nothing(path: Path, keys: dict[str, Any]) -> None:
    found = through(path, FIELD, photometric="rgb", ome=True, metadata={"axes": "YXS", **keys})
    assert found.embedded is None


def test_entities_in_ome_xml_are_refused_before_anything_parses_them(path: Path) -> None:
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "0.25">]>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels '
        'PhysicalSizeX="&a;" PhysicalSizeY="&a;"/></Image></OME>'
    )
    tifffile.imwrite(path, FIELD, photometric="rgb", description=bomb, metadata=None)
    with pytest.raises(ImageReadError, match="document type"):
        decode_image(path)


def test_aperio_states_its_scale(path: Path) -> None:
    text = "Aperio Image Library v11\n150x170 (64x64) |AppMag = 20|MPP = 0.4990|Left = 1"
    found = through(path, FIELD, photometric="rgb", tile=(64, 64), description=text, metadata=None)
    assert found.embedded is not None
    assert (found.embedded.mpp, found.embedded.source) == (0.499, MppSource.vendor)


def test_imagej_states_its_scale_in_microns(path: Path) -> None:
    found = through(
        path, FIELD, photometric="rgb", imagej=True, resolution=(4, 4), metadata={"unit": "um"}
    )
    assert found.embedded is not None
    assert found.embedded.mpp == pytest.approx(0.25)
    assert found.embedded.source is MppSource.tiff_resolution


@pytest.mark.parametrize(("unit", "density"), [("INCH", 25_400 / 0.5), ("CENTIMETER", 20_000)])
def test_a_microscopes_tiff_resolution_counts(path: Path, unit: str, density: float) -> None:
    found = through(
        path, FIELD, photometric="rgb", resolution=(density, density), resolutionunit=unit
    )
    assert found.embedded is not None
    assert found.embedded.mpp == pytest.approx(0.5, rel=1e-3)
    assert found.embedded.source is MppSource.tiff_resolution


@pytest.mark.parametrize("density", [72, 96, 300, 600, 2400])
def test_a_printers_resolution_is_no_scale(path: Path, density: int) -> None:
    found = through(
        path, FIELD, photometric="rgb", resolution=(density, density), resolutionunit="INCH"
    )
    assert found.embedded is None
    assert any("no microscope scale" in note for note in found.notes)


def test_a_resolution_without_a_unit_states_nothing(path: Path) -> None:
    found = through(
        path, FIELD, photometric="rgb", resolution=(20_000, 20_000), resolutionunit="NONE"
    )
    assert found.embedded is None
    assert found.notes == ()


def test_a_pyramid_gives_its_full_resolution(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(FIELD, photometric="rgb", tile=(64, 64), subifds=1)
        writer.write(FIELD[::2, ::2], photometric="rgb", tile=(64, 64), subfiletype=1)
    found = decode_image(path)
    assert np.array_equal(found.pixels, FIELD)
    assert found.notes == ("only the full-resolution level of the slide is used",)


def test_a_missing_tile_is_not_filled_in(path: Path) -> None:
    tifffile.imwrite(path, FIELD, photometric="rgb", tile=(64, 64), compression="zlib")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        counts = tif.pages.first.tags["TileByteCounts"]
        size = {3: 2, 4: 4, 16: 8}[int(counts.dtype)]
        data[counts.valueoffset : counts.valueoffset + size] = bytes(size)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageReadError, match="1 of 9 strips or tiles are missing"):
        decode_image(path)
