"""The pixels that a report may show. They travel beside the report and are never serialised."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Swatch:
    """A colour of a map, ``#rrggbb``, and what it stands for."""

    colour: str
    label: str


@dataclass(frozen=True)
class FigureImage:
    """One input image, reduced for display, with what was found on it.

    jpeg: encoded sRGB bytes, JPEG or PNG; width, height: displayed pixels; um_per_px: their scale.
    x, y: nuclei in displayed pixels (float32, length n); is_lymphocyte, in_nest: bool, length n.
    """

    name: str
    jpeg: bytes
    width: int
    height: int
    um_per_px: float
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    is_lymphocyte: npt.NDArray[np.bool_]
    in_nest: npt.NDArray[np.bool_]
    caption: str = ""
    """What is seen, when it is not the nuclei."""
    legend: tuple[Swatch, ...] = ()
    """The colours of a map, in order."""


@dataclass(frozen=True)
class Figures:
    """All pictures of one report."""

    images: tuple[FigureImage, ...] = ()
    heat: tuple[FigureImage, ...] = ()
    """Maps of a dense pass, two for each slide."""
    neighbour_jpegs: Mapping[str, bytes] = field(default_factory=dict)
    """Thumbnail bytes by `Neighbour.neighbour_id`."""
