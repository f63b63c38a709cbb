"""Nuclei of a whole case: tile by tile with a halo, pooled in µm of each image.

Every tile is analysed with 32 µm of true surroundings and with the stain of its image (`looks`),
and a nucleus belongs to the tile that holds its point: tile borders neither lose nor double nuclei.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from immunopath.models.embedded.classifier import NucleiClassifier
from immunopath.models.embedded.density import BOOL, I64, Workspace
from immunopath.models.embedded.features import measure
from immunopath.models.embedded.looks import (
    Ready,
    Stain,
    TileBox,
    box_of,
    look_at,
    look_at_stain,
    make_ready,
)
from immunopath.models.embedded.merge import Nuclei, call_nuclei, merge_nuclei
from immunopath.models.embedded.scale import Energy, coarse_to_fine, energy
from immunopath.models.embedded.tissue import TissueGrid, tissue_grid, tissue_mask
from immunopath.models.protocols import TilePixels, TileSource

BORDER_UM = 1.0
"""A tile also reports nuclei this far beyond its border; twins are dropped afterwards."""
TWIN_UM = 1.5
"""No two candidates of one tile are closer than this (`candidates.PEAK_RADIUS_UM`)."""


@dataclass(frozen=True)
class CaseNuclei:
    """All nuclei of a case with what the counting rests on.

    nuclei: x and y in µm from the corner of their own image; image_index and tile_index (into
    `boxes`): int64, one per nucleus; tissue: tissue area of each tile on the 10 µm grid, from its
    pixels;
    n_pigment, n_candidates: what the colour gate dropped as pigment, of how many peaks;
    energies: structure of each tile, see `scale`.
    """

    nuclei: Nuclei
    image_index: I64
    tile_index: I64
    boxes: tuple[TileBox, ...]
    tissue: tuple[TissueGrid, ...]
    gain: float
    n_pigment: int
    n_candidates: int
    energies: tuple[Energy, ...] = ()

    @property
    def coarse_to_fine(self) -> float | None:
        """Coarse over fine structure of all tiles; None without structure."""
        return coarse_to_fine(self.energies)


@dataclass(frozen=True)
class FieldNuclei:
    """Nuclei of one array of pixels, in µm from its corner, and the counts of its gate."""

    nuclei: Nuclei
    n_pigment: int
    n_candidates: int


def nuclei_in(
    ready: Ready, gain: float, classifier: NucleiClassifier, work: Workspace
) -> FieldNuclei:
    """Return the nuclei of a look that was made ready, given the gain of its case."""
    found = ready.found
    measured = measure(ready.maps, found, work)
    called = call_nuclei(found, measured, classifier, gain)
    peaks = len(found) + found.n_pigment + found.n_red
    return FieldNuclei(merge_nuclei(called, measured, gain), found.n_pigment, peaks)


def detect_nuclei(
    source: TileSource, classifier: NucleiClassifier, work: Workspace | None = None
) -> CaseNuclei:
    """Return every nucleus of the accepted tiles of a case; empty for a case without tiles.

    `work` holds buffers for reuse from case to case; nothing in the answer lies in them.
    """
    work = work or Workspace()
    boxes = tuple(box_of(t) for t in source.tiles)
    return nuclei_of(source, boxes, look_at_stain(source, work), classifier, work)


def nuclei_of(
    source: TilePixels,
    boxes: tuple[TileBox, ...],
    stain: Stain,
    classifier: NucleiClassifier,
    work: Workspace,
) -> CaseNuclei:
    """Return every nucleus of these tiles, read by a stain that was looked at before."""
    tiles: list[_Tile] = []
    ready = stain.ready
    for box in boxes:
        if ready is None or ready.look.tile_id != box.tile_id:
            ready = make_ready(look_at(source, box), stain.white[box.image_index], work)
        tiles.append(_tile(ready, box, stain.gain, classifier, work))
    owners = [index for index, tile in enumerate(tiles) for _ in range(len(tile.field.nuclei))]
    tile_index = np.array(owners, np.int64)
    image_of = np.array([b.image_index for b in boxes], np.int64)
    image_index = image_of[tile_index] if boxes else tile_index
    nuclei = Nuclei.join([tile.field.nuclei for tile in tiles])
    once = _first_of_twins(nuclei, image_index, tile_index)
    return CaseNuclei(
        nuclei=nuclei.take(once),
        image_index=image_index[once],
        tile_index=tile_index[once],
        boxes=boxes,
        tissue=tuple(tile.tissue for tile in tiles),
        gain=stain.gain,
        n_pigment=sum(tile.field.n_pigment for tile in tiles),
        n_candidates=sum(tile.field.n_candidates for tile in tiles),
        energies=tuple(tile.energy for tile in tiles),
    )


@dataclass(frozen=True)
class _Tile:
    """The nuclei of one tile in µm of its image, with its tissue and structure."""

    field: FieldNuclei
    tissue: TissueGrid
    energy: Energy


def _tile(
    ready: Ready, box: TileBox, gain: float, classifier: NucleiClassifier, work: Workspace
) -> _Tile:
    rows, columns = ready.look.core
    tissue = tissue_grid(tissue_mask(ready.maps.od[:, rows, columns]), box)
    structure = energy(ready.maps, ready.look.core)
    seen = nuclei_in(ready, gain, classifier, work)
    own = _inside(seen.nuclei, ready.look.margin, box)
    return _Tile(replace(seen, nuclei=own), tissue, structure)


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
