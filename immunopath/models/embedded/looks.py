"""Tiles as the nuclei engine sees them: with surroundings, with the stain of their image.

White point per image and gain per case come from a first look at up to eight evenly spaced tiles
of each image, so that no tile is read by its own stain. The last tile looked at is handed on ready
made: in a case of one tile nothing is computed twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from immunopath.domain.quality import TileSummary
from immunopath.models.embedded.candidates import (
    BaseMaps,
    Candidates,
    base_maps,
    find_candidates,
)
from immunopath.models.embedded.classifier import gain_from
from immunopath.models.embedded.density import (
    F32,
    WORK_MPP,
    Workspace,
    channel_histogram,
    optical_density,
    white_point,
)
from immunopath.models.protocols import RGB, TilePixels, TileSource

HALO_UM = 32.0
"""Covers every stage but the last of the 20 µm neighbour count (its weight there is < 1 %)."""
PHASE_UM = 4 * WORK_MPP
"""Halos are cut to this pitch, so that reduced maps of neighbouring tiles fall on one grid."""
LOOK_TILES = 8


@dataclass(frozen=True)
class TileBox:
    """A tile in µm of its image."""

    tile_id: str
    image_index: int
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Look:
    """A tile with its surroundings at 0.5 µm/px.

    margin: left and top halo in µm; core: rows and columns of the tile itself.
    """

    tile_id: str
    rgb: RGB
    margin: tuple[float, float]
    core: tuple[slice, slice]


@dataclass(frozen=True)
class Ready:
    """A look with its densities, their shared blurs and candidates.

    The maps lie in buffers of the workspace: they are good until the next look is made ready.
    """

    look: Look
    maps: BaseMaps
    found: Candidates


@dataclass(frozen=True)
class Stain:
    """White point of each image, the gain of the case, and the last tile looked at."""

    white: dict[int, F32]
    gain: float
    ready: Ready | None = None


def box_of(tile: TileSummary) -> TileBox:
    """Return the tile's box in µm."""
    x, y, width, height = (n * tile.mpp for n in tile.box)
    return TileBox(tile.tile_id, tile.image_index, x, y, width, height)


def look_at(source: TilePixels, box: TileBox) -> Look:
    """Return a tile with its halo, the left and top halo cut to a multiple of 2 µm."""
    rgb = source.pixels(box.tile_id, WORK_MPP, HALO_UM)
    left, top, _, _ = source.halo(box.tile_id, HALO_UM)
    cut_x, cut_y = round(left % PHASE_UM / WORK_MPP), round(top % PHASE_UM / WORK_MPP)
    left, top = left - cut_x * WORK_MPP, top - cut_y * WORK_MPP
    x, y = round(left / WORK_MPP), round(top / WORK_MPP)
    width, height = round(box.width / WORK_MPP), round(box.height / WORK_MPP)
    return Look(
        box.tile_id,
        np.ascontiguousarray(rgb[cut_y:, cut_x:]),
        (left, top),
        (slice(y, y + height), slice(x, x + width)),
    )


def make_ready(look: Look, white: F32, work: Workspace) -> Ready:
    """Return the stages before the features, in buffers of `work`."""
    maps = base_maps(optical_density(look.rgb, white, work), work)
    return Ready(look, maps, find_candidates(maps, work))


def look_at_stain(source: TileSource, work: Workspace) -> Stain:
    """Return white points and gain from up to eight evenly spaced tiles of each image."""
    by_image: dict[int, list[TileSummary]] = {}
    for tile in source.tiles:
        by_image.setdefault(tile.image_index, []).append(tile)
    white: dict[int, F32] = {}
    values, ready = [np.zeros(0, np.float32)], None
    # Backwards, so that the last one looked at is the first one that counting asks for.
    for image_index, tiles in reversed(by_image.items()):
        looks = [look_at(source, box_of(t)) for t in _spaced(tiles, LOOK_TILES)]
        histograms = [channel_histogram(look.rgb[look.core]) for look in looks]
        white[image_index] = white_point(np.sum(histograms, axis=0))
        for look in reversed(looks):
            ready = make_ready(look, white[image_index], work)
            values.append(candidate_density(ready))
    return Stain(white, gain_from(np.concatenate(values)), ready)


def _spaced(tiles: Sequence[TileSummary], most: int) -> list[TileSummary]:
    if len(tiles) <= most:
        return list(tiles)
    return [tiles[round(k)] for k in np.linspace(0, len(tiles) - 1, most)]


def candidate_density(ready: Ready) -> F32:
    """Return the blurred red density of the candidates inside a tile."""
    found, (rows, columns) = ready.found, ready.look.core
    inside = (found.y >= rows.start) & (found.y < rows.stop)
    inside &= (found.x >= columns.start) & (found.x < columns.stop)
    values: F32 = found.colour[0, inside]
    return values
