"""White point and gain of a whole slide, so that no tile is read by its own stain.

The predictor takes the white of an image from its brightest pixels, and its constants were fitted
that way: in a field full of tissue that is pale stroma, at the edge of the tissue it is glass. The
constants are those of fields, so a slide is read by the median white of up to twelve windows of
500 µm spread over its tissue (what the sampled regions of a case are), and not by its glass; the
gain comes from the same windows, as in a case.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from immunopath.domain.heat import TILE_UM, WINDOW_UM
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.reading import judge_tile
from immunopath.imaging.slides.sample import spread
from immunopath.models.embedded.classifier import gain_from
from immunopath.models.embedded.dense_block import BlockPixels, read_block, tile_id
from immunopath.models.embedded.dense_plan import RULES, DensePlan
from immunopath.models.embedded.density import (
    F32,
    WHITE_MAX,
    WORK_MPP,
    Workspace,
    channel_histogram,
    white_point,
)
from immunopath.models.embedded.looks import Look, TileBox, candidate_density, look_at, make_ready

LOOK_WINDOWS: Final = 12
FULL_TISSUE: Final = (0.99, 0.9)
FEW: Final = 4
"""Windows with less tissue are looked at only where fewer than four have as much."""
_PER: Final = round(WINDOW_UM / TILE_UM)


def look_at_slide(plan: DensePlan) -> tuple[F32, float]:
    """Return the white point, shape (3,), and the gain; (255, 255, 255) and 1 without tissue."""
    work, whites, values = Workspace(), list[F32](), [np.zeros(0, np.float32)]
    with open_slide(plan.path, plan.stated_mpp) as slide:
        for number, places in enumerate(_windows(plan.plan.candidates)):
            if len(whites) >= (LOOK_WINDOWS if number < LOOK_WINDOWS else FEW):
                break
            looks = _usable(read_block(slide, places, plan.bounds), places, plan)
            if not looks:
                continue
            counts = [channel_histogram(look.rgb[look.core]) for look in looks]
            whites.append(white_point(np.sum(counts, axis=0)))
            values += [candidate_density(make_ready(look, whites[-1], work)) for look in looks]
    if not whites:
        return np.full(3, WHITE_MAX, np.float32), 1.0
    white = np.median(np.stack(whites), axis=0).astype(np.float32)
    return white, gain_from(np.concatenate(values))


def _usable(source: BlockPixels, places: Sequence[GridTile], plan: DensePlan) -> list[Look]:
    return [
        look_at(source, TileBox(tile_id(place), 0, 0, 0, TILE_UM, TILE_UM))
        for place in places
        if not judge_tile(RULES, plan.plan.mask, place, source.pixels(tile_id(place), WORK_MPP))[0]
    ]


def _windows(places: Sequence[GridTile]) -> Iterator[tuple[GridTile, ...]]:
    """Yield the tiles of each window: first of up to twelve spread ones, then of all others."""
    found: dict[tuple[int, int], list[GridTile]] = {}
    for place in places:
        found.setdefault((place.column // _PER, place.row // _PER), []).append(place)
    every = [
        GridTile(*key, tiles[0].box, sum(t.tissue for t in tiles) / _PER**2, 0.0, 0.0)
        for key, tiles in found.items()
    ]
    rich = [[window for window in every if window.tissue >= least] for least in FULL_TISSUE]
    fullest = next((windows for windows in rich if len(windows) >= FEW), every)
    first = spread(tuple(fullest), LOOK_WINDOWS)
    order = dict.fromkeys((window.column, window.row) for window in (*first, *fullest, *every))
    for key in order:
        yield tuple(found[key])
