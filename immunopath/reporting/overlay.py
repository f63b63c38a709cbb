"""Nuclei as compact SVG paths over an image: one path a class, drawn with markers."""

import base64
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.domain.words import counted
from immunopath.reporting.figures import FigureImage, Swatch
from immunopath.reporting.text import visible

_SCALE_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_RING_UM = 3.3
_CROSS_UM = 1.9
_NEST_UM = 13.0
"""Radius around each nest nucleus; neighbours of one nest (about 15 µm apart) flow together."""
_MIN_PX = 2.2
_DATA_TYPES = ((b"\xff\xd8", "image/jpeg"), (b"\x89PNG", "image/png"))


@dataclass(frozen=True)
class Overlay:
    """One image ready for the template: all lengths in displayed pixels.

    Paths hold numbers only, so they need no escaping.
    """

    name: str
    source: str
    """A ``data:`` address."""
    width: int
    height: int
    lymphocytes: str
    others: str
    nests: str
    ring: float
    cross: float
    nest: float
    edge: float
    bar: float
    bar_label: str
    caption: str
    scale_note: str
    legend: tuple[Swatch, ...] = ()


def overlay(image: FigureImage, *, assumed: bool = False) -> Overlay:
    """Return the overlay of one image. Nuclei without a finite position are not drawn.

    assumed: nobody stated the resolution; the scale bar and the caption then say so.
    """
    placed = np.isfinite(image.x) & np.isfinite(image.y)
    lymphocyte = placed & image.is_lymphocyte
    other = placed & ~image.is_lymphocyte
    nested = placed & image.in_nest
    length = _scale_um(image)
    return Overlay(
        name=visible(image.name),
        source=data_address(image.jpeg),
        width=image.width,
        height=image.height,
        lymphocytes=_vertices(image.x[lymphocyte], image.y[lymphocyte]),
        others=_vertices(image.x[other], image.y[other]),
        nests=_dots(image.x[nested], image.y[nested]),
        ring=max(_RING_UM / image.um_per_px, _MIN_PX),
        cross=max(_CROSS_UM / image.um_per_px, 0.6 * _MIN_PX),
        nest=2 * max(_NEST_UM / image.um_per_px, 2 * _MIN_PX),
        edge=max(image.width, image.height) / 400,
        bar=length / image.um_per_px,
        bar_label=f"{length} µm assumed" if assumed else f"{length} µm",
        caption=image.caption or _caption(image, lymphocyte, other, nested),
        scale_note=f"Shown at {image.um_per_px:.3g} µm per pixel"
        + (", assumed: nobody stated the resolution." if assumed else "."),
        legend=image.legend,
    )


def data_address(data: bytes) -> str:
    """Return image bytes as a ``data:`` address; raises `ValueError` for another file type."""
    for magic, kind in _DATA_TYPES:
        if data.startswith(magic):
            return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    raise ValueError("a figure must be JPEG or PNG bytes")


def _scale_um(image: FigureImage) -> int:
    """Return the longest round length that fits a quarter of the image's width."""
    room = 0.25 * image.width * image.um_per_px
    return max((step for step in _SCALE_STEPS if step <= room), default=_SCALE_STEPS[0])


def _vertices(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> str:
    """Return a polyline whose vertices carry the markers; the line itself is not drawn."""
    if not len(x):
        return ""
    pairs = zip(x.tolist(), y.tolist(), strict=True)
    return "M" + " ".join(f"{a:.1f} {b:.1f}" for a, b in pairs) + "h0"


def _dots(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> str:
    """Return zero-length strokes: with round caps each is a disc."""
    return "".join(f"M{a:.0f} {b:.0f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _caption(
    image: FigureImage,
    lymphocyte: npt.NDArray[np.bool_],
    other: npt.NDArray[np.bool_],
    nested: npt.NDArray[np.bool_],
) -> str:
    inside = int((lymphocyte & image.in_nest).sum())
    parts = [
        counted(int(lymphocyte.sum()), "lymphocyte-like nucleus", "lymphocyte-like nuclei"),
        counted(int(other.sum()), "other nucleus", "other nuclei"),
    ]
    if nested.any():
        parts.append(f"{inside} of the lymphocyte-like nuclei inside nests")
    else:
        parts.append("no nest found")
    return "; ".join(parts) + "."
