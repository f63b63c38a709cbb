"""The heat of a slide over its thumbnail: density of lymphocytes, and phenotype."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from immunopath.domain.heat import WINDOW_UM
from immunopath.imaging.tiles import Box
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.pipeline.slide_map import RgbColour, sized, viridis
from immunopath.reporting.figures import FigureImage, Swatch
from immunopath.reporting.heat_view import FULL_PER_MM2, PHENOTYPE_COLOURS

UNCOLOURED: Final = (
    "less than a quarter of the tile is tissue, quality control rejected it, or the border of the "
    "slide cuts it"
)
_STEPS: Final = 7
_OPACITY: Final = 0.8
_PALE: Final = 235
"""Grey of the tissue under the colours: the legend shows them as they come out on it."""
_CONTRAST: Final = 0.55
"""What is left of the thumbnail's contrast, in grey: the heat carries the colours."""


def heat_figures(slides: tuple[DenseSlide, ...], max_px: int) -> tuple[FigureImage, ...]:
    """Return two maps for each slide that was read through: density and phenotype.

    A place that was not measured keeps the grey of the thumbnail.
    """
    return tuple(draw(slide, max_px) for slide in slides for draw in (_density, _phenotype))


def _density(slide: DenseSlide, max_px: int) -> FigureImage:
    canvas, found, top = _Canvas(slide, max_px), slide.summary, ""
    for tile in slide.tiles:
        if tile.per_mm2 is not None:
            canvas.fill(tile.place.box, viridis(tile.per_mm2 / FULL_PER_MM2))
    if found.densest is not None and found.densest_per_mm2 is not None:
        canvas.frame(found.densest)
        x, y = found.densest[:2]
        top = f" Framed: the densest tile, {found.densest_per_mm2:,.0f} per mm² at x {x}, y {y} px."
    return canvas.figure(
        f"{found.name}: lymphocyte-like nuclei per mm² of tissue",
        f"Every measured tile of {found.tile_um:g} µm ({found.measured:,} of {found.grid:,} "
        f"places). No colour: {UNCOLOURED}.{top}",
        tuple(_scale()),
    )


def _phenotype(slide: DenseSlide, max_px: int) -> FigureImage:
    canvas, found = _Canvas(slide, max_px), slide.summary
    per = round(WINDOW_UM / found.tile_um)
    calls = {call.square: call.phenotype for call in slide.windows}
    for tile in slide.tiles:
        phenotype = calls.get((tile.place.column // per, tile.place.row // per))
        if phenotype is not None and not tile.reason:
            canvas.fill(tile.place.box, _rgb(PHENOTYPE_COLOURS[phenotype]))
    said = ", ".join(f"{name} {count:,}" for name, count in found.windows.phenotypes.items())
    without = sum(found.windows.without.values())
    return canvas.figure(
        f"{found.name}: phenotype by window of {WINDOW_UM:g} µm",
        f"{said}, without a phenotype {without:,}. No colour: no phenotype, or {UNCOLOURED}.",
        tuple(Swatch(_shown(_rgb(code)), name) for name, code in PHENOTYPE_COLOURS.items()),
    )


def _scale() -> Iterator[Swatch]:
    for step in range(_STEPS):
        value = step / (_STEPS - 1)
        more = " and more per mm²" if step == _STEPS - 1 else ""
        yield Swatch(_shown(viridis(value)), f"{value * FULL_PER_MM2:,.0f}{more}")


def _shown(colour: RgbColour) -> str:
    """Return a colour as it looks on the map, as ``#rrggbb``."""
    return "#" + "".join(f"{round(_PALE + _OPACITY * (part - _PALE)):02x}" for part in colour)


def _rgb(colour: str) -> RgbColour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


class _Canvas:
    """The thumbnail in pale grey, and boxes of level-0 pixels drawn on it."""

    def __init__(self, slide: DenseSlide, max_px: int) -> None:
        self._bounds = slide.plan.bounds
        self._mpp = slide.plan.resolution.mpp
        shown = sized(slide.plan.plan.mask.rgb, max_px)
        grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY).astype(np.float32)
        pale = 255 - _CONTRAST * (255 - grey)
        self._rgb = np.repeat(pale[:, :, None], 3, axis=2)
        self._height, self._width = shown.shape[:2]

    def fill(self, box: Box, colour: RgbColour) -> None:
        """Lay a colour over a box."""
        left, top, right, bottom = self._place(box)
        part = self._rgb[top:bottom, left:right]
        part += _OPACITY * (np.array(colour, np.float32) - part)

    def frame(self, box: Box) -> None:
        """Draw a frame around a box that shows on light and dark."""
        left, top, right, bottom = self._place(box)
        cv2.rectangle(self._rgb, (left - 3, top - 3), (right + 2, bottom + 2), (255, 255, 255), 5)
        cv2.rectangle(self._rgb, (left - 3, top - 3), (right + 2, bottom + 2), (200, 0, 0), 2)

    def figure(self, name: str, caption: str, legend: tuple[Swatch, ...]) -> FigureImage:
        """Return the picture as PNG."""
        rgb = np.clip(np.rint(self._rgb), 0, 255).astype(np.uint8)
        _, encoded = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        empty, no = np.zeros(0, np.float32), np.zeros(0, np.bool_)
        return FigureImage(
            name=name,
            jpeg=encoded.tobytes(),
            width=self._width,
            height=self._height,
            um_per_px=self._mpp * self._bounds[2] / self._width,
            x=empty,
            y=empty,
            is_lymphocyte=no,
            in_nest=no,
            caption=caption,
            legend=legend,
        )

    def _place(self, box: Box) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of a box of the slide on the picture."""
        across, down = self._width / self._bounds[2], self._height / self._bounds[3]
        left, top = box[0] - self._bounds[0], box[1] - self._bounds[1]
        return (
            round(left * across),
            round(top * down),
            round((left + box[2]) * across),
            round((top + box[3]) * down),
        )
