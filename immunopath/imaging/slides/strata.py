"""The parts of a slide that its regions stand for, and further regions within them.

Every place with tissue belongs to the region that lies nearest: that is its stratum, and the number
of its places is the weight of what was read there. Near is meant in the plane of the slide and in
how dark a place looks on the thumbnail (its depth, `darkness.py`): a region read for its darkness
stands for dark places. After each round the strata are drawn anew, so a part that is read closely
falls into many small ones. Further regions of a stratum are taken by distance alone: which strata
get some rests on what was seen in them, which places of one never does.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from immunopath.imaging.tiles import Box

FLAT: Mapping[Box, float] = MappingProxyType({})
"""Depth 0 everywhere: only the plane of the slide counts."""


def strata_of(
    frame: Sequence[Box], read: Sequence[Box], depth: Mapping[Box, float] = FLAT
) -> dict[Box, tuple[Box, ...]]:
    """Return the places of each region, itself included, in the order of the frame.

    depth: of places in level-0 pixels, 0 where none is given. Of regions at the same distance the
    earlier one gets the place. Raises `ValueError` when a region is no place of the frame.
    """
    strange = set(read) - set(frame)
    if strange or not read:
        raise ValueError(f"{sorted(strange) or 'no region'}: not among the places of the slide")
    nearest = distances(frame, read, depth).argmin(axis=1)
    parts = {box: list[Box]() for box in read}
    for place, own in zip(frame, nearest, strict=True):
        parts[read[own]].append(place)
    return {box: tuple(mine) for box, mine in parts.items()}


def further(
    strata: Mapping[Box, Sequence[Box]],
    wanted: Mapping[Box, int],
    depth: Mapping[Box, float] = FLAT,
) -> dict[Box, tuple[Box, ...]]:
    """Return up to `wanted` new boxes for each region: each the farthest from all read ones.

    Distances are to the regions of all strata. Nothing read is returned, nothing is random.
    """
    taken, chosen = list(strata), dict[Box, tuple[Box, ...]]()
    for region, count in wanted.items():
        free = [box for box in strata[region] if box != region]
        mine: list[Box] = []
        while free and len(mine) < count:
            mine.append(free.pop(int(distances(free, taken, depth).min(axis=1).argmax())))
            taken.append(mine[-1])
        chosen[region] = tuple(sorted(mine, key=lambda box: (box[1], box[0])))
    return chosen


def distances(
    boxes: Sequence[Box], others: Sequence[Box], depth: Mapping[Box, float]
) -> npt.NDArray[np.float64]:
    """Return squared distances of corner and depth, (boxes, others); all boxes are of one size."""
    here, there = (
        np.array([(*box[:2], depth.get(box, 0.0)) for box in part], np.float64).reshape(-1, 3)
        for part in (boxes, others)
    )
    squared: npt.NDArray[np.float64] = ((here[:, None] - there[None]) ** 2).sum(axis=2)
    return squared
