"""Every container and colour mode that Pillow reads: written here, read back."""

import hashlib
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from he_fields import RGB, he_field
from PIL import Image, ImageCms

from immunopath.imaging.decode import decode_image

FIELD = he_field(60, 80, seed=5)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def near(left: RGB, right: RGB, tolerance: float) -> bool:
    return float(np.abs(left.astype(int) - right.astype(int)).mean()) <= tolerance


def test_a_png_is_read_exactly_and_digested(tmp_path: Path) -> None:
    path = save(Image.fromarray(FIELD), tmp_path / "a.png")
    found = decode_image(path)
    assert np.array_equal(found.pixels, FIELD)
    assert (found.name, found.format, found.embedded, found.notes) == ("a.png", "PNG", None, ())
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not found.pixels.flags.writeable


def test_equal_pixels_have_equal_digests_in_any_container(tmp_path: Path) -> None:
    one = decode_image(save(Image.fromarray(FIELD), tmp_path / "a.png"))
    two = decode_image(save(Image.fromarray(FIELD), tmp_path / "a.bmp"))
    assert one.pixels_sha256 == two.pixels_sha256
    assert one.sha256 != two.sha256
    turned = FIELD.reshape(80, 60, 3)
    assert decode_image(save(Image.fromarray(turned), tmp_path / "b.png")).pixels_sha256 != (
        one.pixels_sha256
    )


@pytest.mark.parametrize(
    ("suffix", "kind", "tolerance"), [("jpg", "JPEG", 12), ("webp", "WEBP", 15), ("bmp", "BMP", 0)]
)
def test_other_containers(tmp_path: Path, suffix: str, kind: str, tolerance: float) -> None:
    found = decode_image(save(Image.fromarray(FIELD), tmp_path / f"a.{suffix}"))
    assert found.format == kind
    assert near(found.pixels, FIELD, tolerance)


def test_a_progressive_jpeg_is_read(tmp_path: Path) -> None:
    path = save(Image.fromarray(FIELD), tmp_path / "a.jpg", progressive=True, quality=95)
    assert near(decode_image(path).pixels, FIELD, 8)


def test_the_content_counts_and_a_wrong_name_is_noted(tmp_path: Path) -> None:
    path = save(Image.fromarray(FIELD), tmp_path / "a.jpg", format="PNG")
    found = decode_image(path)
    assert np.array_equal(found.pixels, FIELD)
    assert found.notes == ("the content is PNG although the name ends in .jpg",)


def test_an_unknown_suffix_needs_no_note(tmp_path: Path) -> None:
    assert decode_image(save(Image.fromarray(FIELD), tmp_path / "a", format="PNG")).notes == ()


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[:, :40], alpha[:, 40:60] = 0, 128
    image = Image.fromarray(np.dstack([FIELD, alpha]))
    found = decode_image(save(image, tmp_path / "a.png"))
    assert (found.pixels[:, :40] == 255).all()
    half = FIELD[:, 40:60] * (128 / 255) + 255 * (127 / 255)
    assert near(found.pixels[:, 40:60], half.astype(np.uint8), 1)
    assert np.array_equal(found.pixels[:, 60:], FIELD[:, 60:])
    assert found.notes == ("transparent parts were composited on white",)


def test_an_opaque_alpha_channel_changes_nothing(tmp_path: Path) -> None:
    opaque = np.dstack([FIELD, np.full((60, 80), 255, np.uint8)])
    found = decode_image(save(Image.fromarray(opaque), tmp_path / "a.png"))
    assert np.array_equal(found.pixels, FIELD)
    assert found.notes == ()


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_images_are_decoded_and_said_to_be_grey(tmp_path: Path, mode: str) -> None:
    found = decode_image(save(Image.fromarray(FIELD).convert(mode), tmp_path / "a.png"))
    assert (found.pixels[..., 0] == found.pixels[..., 2]).all()
    if mode != "LA":
        assert "a grey image: three equal channels" in found.notes


def test_palette_colours_are_expanded(tmp_path: Path) -> None:
    palette = Image.fromarray(FIELD).quantize(64)
    found = decode_image(save(palette, tmp_path / "a.png"))
    assert np.array_equal(found.pixels, np.asarray(palette.convert("RGB")))
    assert found.notes == ("palette colours were expanded",)


def test_a_transparent_palette_colour_becomes_white(tmp_path: Path) -> None:
    palette = Image.fromarray(FIELD).quantize(8)
    index = int(np.asarray(palette)[0, 0])
    found = decode_image(save(palette, tmp_path / "a.png", transparency=index))
    assert tuple(found.pixels[0, 0]) == (255, 255, 255)


def test_cmyk_without_a_profile_is_converted_and_said_so(tmp_path: Path) -> None:
    found = decode_image(save(Image.fromarray(FIELD).convert("CMYK"), tmp_path / "a.jpg"))
    assert near(found.pixels, FIELD, 15)
    assert "CMYK was converted to RGB without a colour profile" in found.notes


def test_a_colour_profile_is_applied(tmp_path: Path) -> None:
    """A linear-light profile brightens mid greys when it is honoured."""
    profile = _linear_profile()
    flat = np.full((60, 60, 3), 128, np.uint8)
    found = decode_image(save(Image.fromarray(flat), tmp_path / "a.png", icc_profile=profile))
    assert abs(int(found.pixels[0, 0, 1]) - 188) <= 3
    assert found.notes == ("colours were converted to sRGB through the embedded profile",)


def test_an_srgb_profile_changes_no_pixel(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(Image.fromarray(FIELD), tmp_path / "a.png", icc_profile=profile)
    found = decode_image(path)
    assert np.array_equal(found.pixels, FIELD)
    assert found.notes == ()


@pytest.mark.parametrize("profile", [b"nonsense", b"\x00" * 200])
def test_a_broken_profile_is_ignored_with_a_note(tmp_path: Path, profile: bytes) -> None:
    found = decode_image(save(Image.fromarray(FIELD), tmp_path / "a.png", icc_profile=profile))
    assert np.array_equal(found.pixels, FIELD)
    assert found.notes == ("the embedded colour profile could not be used and was ignored",)


def test_a_profile_of_another_colour_space_is_ignored(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    found = decode_image(save(Image.fromarray(FIELD), tmp_path / "a.png", icc_profile=lab))
    assert np.array_equal(found.pixels, FIELD)
    assert "ignored" in found.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_stored_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(FIELD), tmp_path / f"a.{suffix}", exif=exif)
    found = decode_image(path)
    plain = save(Image.fromarray(FIELD), tmp_path / f"b.{suffix}")
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation](decode_image(plain).pixels)
    assert np.array_equal(found.pixels, turned)
    assert any("orientation" in note for note in found.notes) == (orientation != 1)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bit_colours_are_scaled_by_their_true_depth(tmp_path: Path, bits: int) -> None:
    factor = (2**bits - 1) / 255
    deep = np.round(FIELD * factor).astype(np.uint16)
    deep[0, 0] = 2**bits - 1
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), deep[..., ::-1])
    found = decode_image(path)
    assert np.abs(found.pixels[1:].astype(int) - FIELD[1:]).max() <= 1
    assert f"scaled from {bits} to 8 bits" in found.notes[0]


def test_sixteen_bit_grey_and_alpha(tmp_path: Path) -> None:
    grey = (FIELD[..., 1].astype(np.uint16)) * 257
    assert cv2.imwrite(str(tmp_path / "g.png"), grey)
    found = decode_image(tmp_path / "g.png")
    assert np.array_equal(found.pixels[..., 2], FIELD[..., 1])
    alpha = np.zeros((60, 80), np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), np.dstack([FIELD.astype(np.uint16) * 257, alpha]))
    assert (decode_image(tmp_path / "a.png").pixels == 255).all()


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
def test_of_an_animation_the_first_frame_is_used(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((60, 60, 3), n, np.uint8)) for n in (40, 90, 200)]
    path = save(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    found = decode_image(path)
    assert abs(int(found.pixels[0, 0, 0]) - 40) <= 2
    assert "only the first of 3 frames is used" in found.notes


def test_a_print_density_is_no_scale(tmp_path: Path) -> None:
    for suffix, key in (("png", "pHYs"), ("jpg", "JFIF")):
        found = decode_image(save(Image.fromarray(FIELD), tmp_path / f"a.{suffix}", dpi=(300, 300)))
        assert found.embedded is None
        assert any(key in note and "300 dpi" in note for note in found.notes)


def test_a_name_may_be_given_as_text_and_hold_anything(tmp_path: Path) -> None:
    path = save(Image.fromarray(FIELD), tmp_path / "a\n\x1b[31m <b>.png")
    assert decode_image(path).name == "a\n\x1b[31m <b>.png"


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    path = save(Image.fromarray(FIELD), tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(path)
    assert np.array_equal(decode_image(tmp_path / "link.png").pixels, FIELD)


def _linear_profile() -> bytes:
    """Return an RGB matrix profile with sRGB's primaries and a gamma of one."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    for entry in range(132, 132 + 12 * count, 12):
        if bytes(profile[entry : entry + 4]) in (b"rTRC", b"gTRC", b"bTRC"):
            offset = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            linear = b"curv" + bytes(8)  # a curve of no points is the identity
            profile[offset : offset + 12] = linear
            profile[entry + 8 : entry + 12] = (12).to_bytes(4, "big")
    text = bytes(profile).replace("sRGB".encode("utf-16-be"), "line".encode("utf-16-be"))
    assert io.BytesIO(text).read(4)
    return text
