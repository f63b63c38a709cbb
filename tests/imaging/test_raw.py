"""What a decoder hands on: pixels with their format, scale and notes, and nothing to change."""

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from he_fields import he_field

from immunopath.domain.units import MppSource, Resolution
from immunopath.imaging.raw import RawImage

SCALE = Resolution(mpp=0.25, source=MppSource.tag)


def test_it_carries_the_pixels_themselves() -> None:
    pixels = he_field(8, 9)
    raw = RawImage(pixels, "TIFF", SCALE, ("a note",))
    assert raw.pixels is pixels
    assert (raw.format, raw.embedded, raw.notes) == ("TIFF", SCALE, ("a note",))


@pytest.mark.parametrize("field", [field.name for field in fields(RawImage)])
def test_no_part_can_be_exchanged(field: str) -> None:
    raw = RawImage(np.zeros((2, 2, 3), np.uint8), "PNG", None, ())
    with pytest.raises(FrozenInstanceError):
        setattr(raw, field, None)


def test_a_decoder_must_say_whether_the_file_states_a_scale() -> None:
    """No default: "unknown" is said with None, never left out."""
    with pytest.raises(TypeError, match="embedded"):
        RawImage(np.zeros((2, 2, 3), np.uint8), "PNG")  # type: ignore[call-arg]
