"""Nuclei of a whole case: tile by tile with a halo, pooled in µm of each image.

White point per image and gain per case come from a first look at up to eight evenly spaced tiles
of each image, so that no tile is read by its own stain. Every tile is then analysed with 32 µm of
true surroundings, and a nucleus belongs to the tile that holds its point: tile borders neither
lose nor double nuclei.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from immunopath.domain.quality import TileSummary
from immunopath.models.embedded.candidates import base_maps, find_candidates
from immunopath.models.embedded.classifier import NucleiClassifier, gain_from
from immunopath.models.embedded.density import (
    BOOL,
    F32,
    I64,
    WORK_MPP,
    Workspace,
    channel_histogram,
    optical_density,
    tissue_area_um2,
    white_point,
)
from immunopath.models.embedded.features import measure
from immunopath.models.embedded.merge import Nuclei, call_nuclei, merge_nuclei
from immunopath.models.protocols import RGB, TileSource

HALO_UM = 32.0
"""Covers every stage but the last of the 20 µm neighbour count (its weight there is < 1 %)."""
PHASE_UM = 4 * WORK_MPP
"""Halos are cut to this pitch, so that reduced maps of neighbouring tiles fall on one grid."""
LOOK_TILES = 8
BORDER_UM = 1.0
"""A tile also reports nuclei this far beyond its border; twins are dropped afterwards."""
TWIN_UM = 1.5
"""No two candidates of one tile are closer than this (`candidates.PEAK_RADIUS_UM`)."""


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
class CaseNuclei:
    """All nuclei of a case with what the counting rests on.

    nuclei: x and y in µm from the corner of their own image; image_index and tile_index (into
    `boxes`): int64, one per nucleus; tissue_um2: tissue area of each tile, from its pixels;
    n_pigment, n_candidates: what the colour gate dropped as pigment, of how many peaks.
    """

    nuclei: Nuclei
    image_index: I64
    tile_index: I64
    boxes: tuple[TileBox, ...]
    tissue_um2: F32
    gain: float
    n_pigment: int
    n_candidates: int


@dataclass(frozen=True)
class Stain:
    """White point of each image and the gain of the case."""

    white: dict[int, F32]
    gain: float


@dataclass(frozen=True)
class _Look:
    """A tile with its surroundings at 0.5 µm/px.

    margin: left and top halo in µm; core: rows and columns of the tile itself.
    """

    rgb: RGB
    margin: tuple[float, float]
    core: tuple[slice, slice]


def box_of(tile: TileSummary) -> TileBox:
    """Return the tile's box in µm."""
    x, y, width, height = (n * tile.mpp for n in tile.box)
    return TileBox(tile.tile_id, tile.image_index, x, y, width, height)


def look_at_stain(source: TileSource, work: Workspace) -> Stain:
    """Return white points and gain from up to eight evenly spaced tiles of each image."""
    by_image: dict[int, list[TileSummary]] = {}
    for tile in source.tiles:
        by_image.setdefault(tile.image_index, []).append(tile)
    white, values = {}, []
    for image_index, tiles in by_image.items():
        looks = [_with_halo(source, box_of(t)) for t in _spaced(tiles, LOOK_TILES)]
        histograms = [channel_histogram(_core(look)) for look in looks]
        white[image_index] = white_point(np.sum(histograms, axis=0))
        values += [_candidate_density(look, white[image_index], work) for look in looks]
    return Stain(white, gain_from(np.concatenate(values) if values else np.zeros(0, np.float32)))


def _spaced(tiles: Sequence[TileSummary], most: int) -> list[TileSummary]:
    if len(tiles) <= most:
        return list(tiles)
    return [tiles[round(k)] for k in np.linspace(0, len(tiles) - 1, most)]


def _candidate_density(look: _Look, white: F32, work: Workspace) -> F32:
    """Return the blurred red density of the candidates inside a tile."""
    maps = base_maps(optical_density(look.rgb, white, work), work)
    found = find_candidates(maps, work)
    rows, columns = look.core
    inside = (found.y >= rows.start) & (found.y < rows.stop)
    inside &= (found.x >= columns.start) & (found.x < columns.stop)
    values: F32 = maps.red1[found.y[inside], found.x[inside]]
    return values


@dataclass(frozen=True)
class FieldNuclei:
    """Nuclei of one array of pixels, in µm from its corner, and the counts of its gate."""

    nuclei: Nuclei
    n_pigment: int
    n_candidates: int


def nuclei_in(
    rgb: RGB, stain_white: F32, gain: float, classifier: NucleiClassifier, work: Workspace
) -> FieldNuclei:
    """Return the nuclei of pixels (h, w, 3) at 0.5 µm/px, given white point and gain."""
    od = optical_density(rgb, stain_white, work)
    maps = base_maps(od, work)
    found = find_candidates(maps, work)
    measured = measure(od, maps, found, work)
    called = call_nuclei(found, measured, classifier, gain)
    peaks = len(found) + found.n_pigment + found.n_red
    return FieldNuclei(merge_nuclei(called, measured, gain), found.n_pigment, peaks)


def detect_nuclei(source: TileSource, classifier: NucleiClassifier) -> CaseNuclei:
    """Return every nucleus of the accepted tiles of a case; empty for a case without tiles."""
    work = Workspace()
    stain = look_at_stain(source, work)
    boxes = tuple(box_of(t) for t in source.tiles)
    parts: list[Nuclei] = []
    owners: list[int] = []
    tissue, n_pigment, n_candidates = [], 0, 0
    for index, box in enumerate(boxes):
        white = stain.white[box.image_index]
        look = _with_halo(source, box)
        field = nuclei_in(look.rgb, white, stain.gain, classifier, work)
        own = _inside(field.nuclei, look.margin, box)
        parts.append(own)
        owners += [index] * len(own)
        tissue.append(tissue_area_um2(optical_density(_core(look), white, work)))
        n_pigment += field.n_pigment
        n_candidates += field.n_candidates
    tile_index = np.array(owners, np.int64)
    image_of = np.array([b.image_index for b in boxes], np.int64)
    image_index = image_of[tile_index] if boxes else tile_index
    nuclei = Nuclei.join(parts)
    once = _first_of_twins(nuclei, image_index, tile_index)
    tile_index, image_index = tile_index[once], image_index[once]
    return CaseNuclei(
        nuclei=nuclei.take(once),
        image_index=image_index,
        tile_index=tile_index,
        boxes=boxes,
        tissue_um2=np.array(tissue, np.float32),
        gain=stain.gain,
        n_pigment=n_pigment,
        n_candidates=n_candidates,
    )


def _with_halo(source: TileSource, box: TileBox) -> _Look:
    """Return a tile with its halo, the left and top halo cut to a multiple of 2 µm."""
    rgb = source.pixels(box.tile_id, WORK_MPP, HALO_UM)
    left, top, _, _ = source.halo(box.tile_id, HALO_UM)
    cut_x, cut_y = round(left % PHASE_UM / WORK_MPP), round(top % PHASE_UM / WORK_MPP)
    left, top = left - cut_x * WORK_MPP, top - cut_y * WORK_MPP
    x, y = round(left / WORK_MPP), round(top / WORK_MPP)
    width, height = round(box.width / WORK_MPP), round(box.height / WORK_MPP)
    return _Look(
        np.ascontiguousarray(rgb[cut_y:, cut_x:]),
        (left, top),
        (slice(y, y + height), slice(x, x + width)),
    )


def _inside(nuclei: Nuclei, margin: tuple[float, float], box: TileBox) -> Nuclei:
    """Return the nuclei whose point lies in the tile or 1 µm beyond it, in image µm."""
    x, y = nuclei.x_um - margin[0], nuclei.y_um - margin[1]
    keep = (x >= -BORDER_UM) & (x < box.width + BORDER_UM)
    keep &= (y >= -BORDER_UM) & (y < box.height + BORDER_UM)
    own = nuclei.take(keep)
    columns = own.columns()
    return Nuclei(
        (x[keep] + box.left).astype(np.float32),
        (y[keep] + box.top).astype(np.float32),
        *columns[2:],
    )


def _first_of_twins(nuclei: Nuclei, image_index: I64, tile_index: I64) -> BOOL:
    """Return False for a nucleus that an earlier tile of its image already holds.

    At resolutions other than 0.5 µm/px tiles are resampled on grids that differ by part of a
    pixel: a nucleus on a border may be seen on this side by one tile and on that by the other.
    """
    keep = np.ones(len(nuclei), np.bool_)
    for image in np.unique(image_index):
        mine = np.flatnonzero(image_index == image)
        tiles = tile_index[mine]
        if tiles.size == 0 or tiles[0] == tiles[-1]:
            continue
        points = np.stack([nuclei.x_um[mine], nuclei.y_um[mine]], axis=1)
        pairs = cKDTree(points).query_pairs(TWIN_UM, output_type="ndarray")
        pairs = pairs[tiles[pairs[:, 0]] != tiles[pairs[:, 1]]]
        keep[mine[pairs.max(axis=1)]] = False
    return keep


def _core(look: _Look) -> RGB:
    """Return the tile without its halo."""
    return look.rgb[look.core]
