"""Units as types: a mix-up of micrometres and pixels fails in the type checker."""

import math
from enum import StrEnum
from typing import NewType

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import ResolutionError

Mpp = NewType("Mpp", float)
"""Micrometres per pixel."""
Microns = NewType("Microns", float)
"""A length in micrometres."""
Pixels = NewType("Pixels", int)
"""A length in pixels of the image it belongs to (level 0 unless said otherwise)."""

MPP_MIN = 0.05
MPP_MAX = 20.0
"""Sanity range: 0.05 is beyond any bright-field scanner, 20 is a thumbnail."""

WORKING_MPP = Mpp(0.5)
"""The resolution at which tiles are laid out and the embedded engines work."""
TILE_PX = Pixels(512)
"""Side of a tile at `WORKING_MPP`, i.e. 256 µm."""


class MppSource(StrEnum):
    """Where the resolution of an image was learned."""

    user = "user"
    vendor = "vendor"  # a slide vendor's own key, e.g. Aperio "MPP ="
    tag = "tag"  # OME-XML PhysicalSize
    tiff_resolution = "tiff_resolution"  # TIFF XResolution with a metric unit
    assumed = "assumed"  # nobody said; flagged in every report


class Resolution(Frozen):
    """A resolved scale, in µm per pixel, and where it came from."""

    mpp: float = Field(ge=MPP_MIN, le=MPP_MAX)
    source: MppSource
    note: str = ""


def checked_mpp(value: float) -> Mpp:
    """Return `value` as an mpp; raises `ResolutionError` outside [0.05, 20] µm per pixel."""
    if not math.isfinite(value) or not MPP_MIN <= value <= MPP_MAX:
        raise ResolutionError(
            f"mpp {value:g} is not a resolution: state micrometres per pixel between "
            f"{MPP_MIN:g} and {MPP_MAX:g} (0.25 and 0.5 are common), not a magnification"
        )
    return Mpp(value)
