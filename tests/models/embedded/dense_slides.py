"""Slides for the dense pass: a drawn one with a hot place that is known, and one made by hand."""

from pathlib import Path

import cv2
import numpy as np
from he_fields import he_field
from slide_files import GLASS, write_pyramid

from immunopath.domain.units import MppSource, Resolution
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.mask import TissueMask
from immunopath.imaging.slides.plan import TilePlan
from immunopath.models.embedded.dense_cell import AREA_STEP_UM2, CellCounts, TileCount
from immunopath.models.embedded.dense_layout import SquareCall
from immunopath.models.embedded.dense_plan import RULES, DensePlan
from immunopath.models.embedded.dense_sums import DenseSlide, Sums

TILE = 500
"""Side of a tile of 250 µm at 0.5 µm/px."""
TISSUE = (1, 1, 7, 5)
"""Tiles of the drawn slide that hold tissue: left, top, right, bottom."""
HOT = (4, 2, 6, 4)
BLURRED = (2, 4)


def drawn(width: int = 8, height: int = 6) -> np.ndarray:
    """Return a slide of 8 x 6 tiles at 0.5 µm/px: tissue, dense in four of them, one blurred."""
    picture = np.full((height * TILE, width * TILE, 3), GLASS, np.uint8)
    left, top, right, bottom = (side * TILE for side in TISSUE)
    picture[top:bottom, left:right] = he_field(bottom - top, right - left, seed=1, nuclei=0.003)
    left, top, right, bottom = (side * TILE for side in HOT)
    picture[top:bottom, left:right] = he_field(bottom - top, right - left, seed=2, nuclei=0.009)
    left, top = (side * TILE for side in BLURRED)
    part = picture[top : top + TILE, left : left + TILE]
    picture[top : top + TILE, left : left + TILE] = cv2.GaussianBlur(part, (0, 0), 12)
    return picture


def hot_slide(path: Path) -> Path:
    return write_pyramid(path, drawn())


def in_hot(place: GridTile) -> bool:
    return HOT[0] <= place.column < HOT[2] and HOT[1] <= place.row < HOT[3]


def made(
    name: str = "S.svs", *, origin: tuple[int, int] = (1000, 500), area_um2: float = 20.0
) -> DenseSlide:
    """Return a slide of 3 x 2 tiles, as if it had been read: see the tiles for what is where.

    Row 0: 5,000 per mm², 0 per mm², glass; row 1: rejected for blur, pen on the thumbnail, 1,000.
    Window (0, 0) is excluded, window (1, 0) has no phenotype.
    """
    places = tuple(
        GridTile(c, r, (origin[0] + 500 * c, origin[1] + 500 * r, 500, 500), 1.0, 0.0, 0.0)
        for r in range(2)
        for c in range(3)
    )
    gone = {(2, 0): "glass", (1, 1): "pen"}
    rgb = np.full((200, 300, 3), 200, np.uint8)
    mask = TissueMask(np.ones((200, 300), np.uint8), 2.5, (243.0, 243.0, 243.0), 0.2, rgb)
    candidates = tuple(p for p in places if (p.column, p.row) not in gone)
    plan = DensePlan(
        path=Path(name),
        stated_mpp=None,
        sha256="ab" * 32,
        bounds=(*origin, 1500, 1000),
        resolution=Resolution(mpp=0.5, source=MppSource.vendor),
        plan=TilePlan(RULES, mask, places, candidates, gone),
    )
    sums = Sums()
    sums.add(_cell(candidates, area_um2))
    return sums.slide(plan, 1.25)


def _cell(places: tuple[GridTile, ...], area_um2: float) -> CellCounts:
    counts = {
        (0, 0): TileCount(places[0], "", 500, 250, 0.05),
        (1, 0): TileCount(places[1], "", 400, 0, 0.05),
        (0, 1): TileCount(places[2], "blur"),
        (2, 1): TileCount(places[3], "", 100, 50, 0.05),
    }
    areas = np.zeros(2000, np.int64)
    areas[round(area_um2 / AREA_STEP_UM2)] = 1000
    return CellCounts(
        tiles=tuple(counts[p.column, p.row] for p in places),
        windows=(
            SquareCall((0, 0), "excluded"),
            SquareCall((1, 0), None, "few_nuclei"),
        ),
        cell=SquareCall((0, 0), None, "little_tissue"),
        areas=areas,
        energies=(),
        spots=(0, 0, 0, 0),
        read_s=0.0,
        work_s=0.0,
    )
