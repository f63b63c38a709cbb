"""Square patches of a stated resolution and size out of a case's tiles, for models that want such.

Every patch is wholly true image: a tile that is too small is completed by its own surroundings,
never by padding, and where the image itself is too small there is no patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from immunopath.domain.errors import ImageSizeError
from immunopath.domain.quality import TileSummary
from immunopath.models.protocols import RGB, TileSource

SLACK: Final = 0.02
"""Rounding of tile borders may leave a patch this share short on a side."""
LEAST_WEIGHT: Final = 0.05


@dataclass(frozen=True)
class Patch:
    """pixels: (px, px, 3) uint8 up to `SLACK`; weight: share of tissue in its tile, above 0."""

    tile_id: str
    pixels: RGB
    weight: float


@dataclass(frozen=True)
class Unit:
    """What one prompt shows: one or several patches."""

    patches: tuple[Patch, ...]

    @property
    def weight(self) -> float:
        """Mean weight of the patches."""
        return sum(patch.weight for patch in self.patches) / len(self.patches)

    @property
    def tile_ids(self) -> tuple[str, ...]:
        """The tiles shown, each once."""
        return tuple(dict.fromkeys(patch.tile_id for patch in self.patches))


@dataclass(frozen=True)
class _Place:
    tile: TileSummary
    row: int
    column: int
    rows: int
    columns: int


def cut_patches(source: TileSource, mpp: float, px: int, limit: int) -> list[Patch]:
    """Return at most `limit` patches of px x px at `mpp` µm per pixel, spread over all tiles.

    A tile of 256 µm gives one patch at 0.5 µm/px and 512 px, four at 0.25. Raises
    `ImageSizeError` when no tile lies in an image large enough for one patch.
    """
    places = [place for tile in source.tiles for place in _places(tile, mpp, px)]
    found: list[Patch] = []
    for place in _spread(places, limit):
        pixels = _window(source, place, mpp, px)
        if pixels is not None:
            weight = max(place.tile.quality.tissue_share, LEAST_WEIGHT)
            found.append(Patch(place.tile.tile_id, pixels, weight))
    if places and not found:
        raise ImageSizeError(
            f"the model takes patches of {px} px at {mpp:g} µm/px ({px * mpp:.0f} µm a side) and "
            "the image is smaller; give a larger field, or add px= and mpp= to the engine string "
            "to show it less than it was trained on"
        )
    return found


def units_of(patches: Sequence[Patch], images: int) -> list[Unit]:
    """Group patches into prompts of `images` each, in reading order.

    The last prompt is filled up with patches of the first ones; a case with fewer patches than
    `images` is one prompt with what there is.
    """
    if len(patches) <= images:
        return [Unit(tuple(patches))] if patches else []
    groups = [patches[start : start + images] for start in range(0, len(patches), images)]
    groups[-1] = [*groups[-1], *patches[: images - len(groups[-1])]]
    return [Unit(tuple(group)) for group in groups]


def _places(tile: TileSummary, mpp: float, px: int) -> list[_Place]:
    """Return the grid of patches over a tile: as many as fit, at least one."""
    scale = tile.mpp / mpp / px
    columns, rows = (max(1, int(side * scale + SLACK)) for side in tile.box[2:])
    return [_Place(tile, r, c, rows, columns) for r in range(rows) for c in range(columns)]


def _spread(places: Sequence[_Place], limit: int) -> list[_Place]:
    """Return at most `limit` places at even steps."""
    if len(places) <= limit:
        return list(places)
    return [places[(2 * i + 1) * len(places) // (2 * limit)] for i in range(limit)]


def _window(source: TileSource, place: _Place, mpp: float, px: int) -> RGB | None:
    """Return the pixels of a patch, or None where the image is too small for one."""
    tile = place.tile
    width, height = (side * tile.mpp / mpp for side in tile.box[2:])
    short = max(px - min(width, height), 0.0)
    halo = (short + 1) * mpp if short > SLACK * px else 0.0
    pixels = source.pixels(tile.tile_id, mpp, halo)
    left, top, _, _ = source.halo(tile.tile_id, halo) if halo else (0.0, 0.0, 0.0, 0.0)
    high, wide = pixels.shape[:2]
    if min(high, wide) < px * (1 - SLACK):
        return None
    y = _start(place.row, place.rows, top / mpp, height, px, high)
    x = _start(place.column, place.columns, left / mpp, width, px, wide)
    return pixels[y : y + px, x : x + px]


def _start(index: int, count: int, before: float, side: float, px: int, total: int) -> int:  # noqa: PLR0913, PLR0917 - one axis of a window
    """Return where a window begins: the cells of the tile's side, each with a centred window."""
    centre = before + (index + 0.5) * side / count
    return int(min(max(round(centre - px / 2), 0), max(total - px, 0)))
