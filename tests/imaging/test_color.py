"""Colour conversions against independent references: Pillow, plain formulas and float64."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from he_fields import he_field
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms, ImageOps

from immunopath.imaging.color import eight_bit, on_white, oriented, three_channels, to_srgb

FIELD = he_field(24, 36, seed=2)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
deep_images = SHAPES.flatmap(
    lambda s: hnp.arrays(np.uint16, st.sampled_from([s, (*s, 3)]), elements=st.integers(0, 65535))
)
rgb_images = SHAPES.flatmap(lambda s: hnp.arrays(np.uint8, (*s, 3)))


def depth_of(values: npt.NDArray[np.uint16]) -> int:
    """Return the smallest camera depth that holds every sample."""
    return next(bits for bits in (8, 10, 12, 14, 16) if int(values.max()) <= 2**bits - 1)


@given(deep_images)
def test_sixteen_bits_are_scaled_by_one_factor(values: npt.NDArray[np.uint16]) -> None:
    depth = depth_of(values)
    found, note = eight_bit(values)
    exact = values.astype(np.float64) * 255 / (2**depth - 1)
    assert found.dtype == np.uint8
    assert found.shape == values.shape
    assert np.abs(found - exact).max() <= 0.5 + 1e-6
    assert f"largest {values.max()}" in note
    assert f"from {depth} to 8 bits" in note


@given(deep_images)
def test_scaling_keeps_the_order_and_the_ends(values: npt.NDArray[np.uint16]) -> None:
    found, _ = eight_bit(values)
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(found.ravel()[order].astype(int)) >= 0).all()
    assert (found[values == 0] == 0).all()
    assert (found[values == 2 ** depth_of(values) - 1] == 255).all()


@given(hnp.arrays(np.uint8, (5, 6, 3)))
def test_eight_bits_widened_to_sixteen_come_back_exactly(image: npt.NDArray[np.uint8]) -> None:
    """Times 257 is how software widens; the brightest pixel makes the depth plain."""
    image[0, 0] = 255
    found, _ = eight_bit(image.astype(np.uint16) * 257)
    assert np.array_equal(found, image)


def test_a_dark_image_is_not_stretched_to_white() -> None:
    dark = np.full((4, 4, 3), 1000, np.uint16)
    dark[0, 0] = 2000
    assert eight_bit(dark)[0].max() == round(2000 * 255 / 2047 / 2)


@given(hnp.arrays(np.uint8, (3, 4)))
def test_grey_becomes_three_equal_channels(grey: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(three_channels(grey), np.asarray(Image.fromarray(grey).convert("RGB")))


@given(rgb_images, st.data())
def test_alpha_on_white_is_what_pillow_composites(
    rgb: npt.NDArray[np.uint8], data: st.DataObject
) -> None:
    alpha = data.draw(hnp.arrays(np.uint8, rgb.shape[:2]))
    found, note = on_white(rgb, alpha)
    white = Image.new("RGBA", rgb.shape[1::-1], (255, 255, 255, 255))
    reference = Image.alpha_composite(white, Image.fromarray(np.dstack([rgb, alpha])))
    difference = found.astype(int) - np.asarray(reference.convert("RGB"))
    assert np.abs(difference).max() <= 1
    assert bool(note) is bool((alpha < 255).any())


@given(rgb_images, st.data())
def test_both_kinds_of_alpha_agree(rgb: npt.NDArray[np.uint8], data: st.DataObject) -> None:
    alpha = data.draw(hnp.arrays(np.uint8, rgb.shape[:2]))
    ready = np.rint(rgb * (alpha[..., None] / 255)).astype(np.uint8)
    plain, _ = on_white(rgb, alpha)
    premultiplied, _ = on_white(ready, alpha, premultiplied=True)
    assert np.abs(plain.astype(int) - premultiplied).max() <= 1


def test_an_opaque_image_is_returned_untouched() -> None:
    found, note = on_white(FIELD, np.full(FIELD.shape[:2], 255, np.uint8))
    assert found is FIELD
    assert note == ""


def test_a_premultiplied_colour_brighter_than_its_alpha_stays_in_range() -> None:
    """Some writers round up: white light must not wrap around to black."""
    bright = np.full((2, 2, 3), 250, np.uint8)
    found, _ = on_white(bright, np.full((2, 2), 100, np.uint8), premultiplied=True)
    assert (found == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@given(rgb=rgb_images)
def test_orientations_are_those_of_exif(orientation: int, rgb: npt.NDArray[np.uint8]) -> None:
    image = Image.fromarray(rgb)
    image.getexif()[0x0112] = orientation
    found, note = oriented(rgb, orientation)
    assert np.array_equal(found, np.asarray(ImageOps.exif_transpose(image)))
    assert found.flags.c_contiguous
    assert bool(note) is (orientation > 1)


@pytest.mark.parametrize("orientation", [0, 9, -1, 65535])
def test_a_meaningless_orientation_is_ignored(orientation: int) -> None:
    found, note = oriented(FIELD, orientation)
    assert found is FIELD
    assert note == ""


@given(hnp.arrays(np.uint8, (4, 5, 4)))
def test_cmyk_without_a_profile_follows_the_plain_formula(ink: npt.NDArray[np.uint8]) -> None:
    found, note = to_srgb(Image.frombytes("CMYK", (5, 4), ink.tobytes()), None)
    share = 1 - ink.astype(np.float64) / 255
    assert np.abs(found - 255 * share[..., :3] * share[..., 3:]).max() <= 1
    assert note == "CMYK was converted to RGB without a colour profile"


def profile_of(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()  # type: ignore[arg-type]


def test_srgb_needs_no_conversion() -> None:
    found, note = to_srgb(Image.fromarray(FIELD), profile_of("sRGB"))
    assert np.array_equal(found, FIELD)
    assert note == ""


@pytest.mark.parametrize("profile", [b"", b"junk", b"\x00" * 128, profile_of("sRGB")[:200]])
def test_a_damaged_profile_never_costs_the_image(profile: bytes) -> None:
    found, note = to_srgb(Image.fromarray(FIELD), profile)
    assert np.array_equal(found, FIELD)
    assert ("ignored" in note) is bool(profile)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_profile_of_another_space_is_ignored_by_name(mode: str) -> None:
    image = Image.fromarray(FIELD).convert(mode)
    found, note = to_srgb(image, profile_of("LAB"))
    assert np.array_equal(found, np.asarray(image.convert("RGB")))
    assert note == "the embedded colour profile could not be used and was ignored"


def test_the_result_is_its_own_memory() -> None:
    stream = io.BytesIO()
    Image.fromarray(FIELD).save(stream, "PNG")
    with Image.open(io.BytesIO(stream.getvalue())) as image:
        found, _ = to_srgb(image, None)
    found[0, 0] = 0
    assert tuple(found[0, 0]) == (0, 0, 0)
