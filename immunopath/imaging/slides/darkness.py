"""What the thumbnail already shows of the places of a slide: how dark their haematoxylin is.

Dense infiltrates are dark and blue at a resolution at which no cell can be seen. So each place gets
a third coordinate beside x and y: how much darker it is than the slide's middle. A place that looks
like none of the regions read is then far from all of them. A few of those are read at once, and
what is found there stands for places that look like it (samples spread in the space of covariates:
Grafström and Lundström, Open J Stat 2013;3:36). Dense tumour and pigment are dark too: darkness
says where to look, never what is there. benchmarks/adaptive.py measures the gain, also where the
thumbnail tells nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from immunopath.imaging.arrays import RGB
from immunopath.imaging.slides.grid import span
from immunopath.imaging.slides.mask import Kind, TissueMask, haematoxylin_tables
from immunopath.imaging.slides.strata import distances
from immunopath.imaging.tiles import Box

DARK_REGIONS = 4
"""Regions that are read of a slide because they look dark, at most."""
GAP = 1.25
"""Robust deviations by which a place must be darker than the region that would stand for it."""
WEIGHT = 0.35
"""One robust deviation of darkness counts as this part of the spread of the places on the slide."""
LEAST_DEVIATION = 0.05
"""Optical density that a robust deviation is at least: below it places look alike (on the tissue of
docs/evidence.md it is 0.08 and 0.19), and what differs is noise."""
HIGHEST = 4.0
"""Robust deviations above which a place is as dark as any: a fold that was missed is no extreme."""

F64 = npt.NDArray[np.float64]


def haematoxylin(frame: Sequence[Box], bounds: Box, mask: TissueMask) -> F64:
    """Return the mean optical density of haematoxylin over each place's tissue, (places,).

    bounds: what the thumbnail shows, in level-0 pixels. 0 for a place without tissue. The mean is
    that of grey levels counted, so no order of summing can change it.
    """
    tables = haematoxylin_tables(mask.white)
    height, width = mask.kinds.shape
    found = np.zeros(len(frame))
    for n, (x, y, w, h) in enumerate(frame):
        left, right = span(x - bounds[0], w, bounds[2], width)
        top, bottom = span(y - bounds[1], h, bounds[3], height)
        seen: RGB = mask.rgb[top:bottom, left:right]
        tissue = seen[mask.kinds[top:bottom, left:right] == Kind.tissue]
        if len(tissue):
            counts = [np.bincount(tissue[:, c], minlength=256) for c in range(len(tables))]
            total = sum(float((k * t).sum()) for k, t in zip(counts, tables, strict=True))
            found[n] = total / len(tissue)
    return found


def depths(frame: Sequence[Box], density: F64) -> dict[Box, float]:
    """Return each place's darkness as a length in level-0 pixels, 0 for the lighter half.

    Robust deviations (median, MAD) above the slide's median, at most four, times `unit`: so the
    slide's size and a few extremes change nothing, its stain little.
    """
    if not frame:
        return {}
    apart = density - np.median(density)
    deviation = max(1.4826 * float(np.median(np.abs(apart))), LEAST_DEVIATION)
    lengths = np.round(np.clip(apart / deviation, 0, HIGHEST) * unit(frame), 1)
    return {box: float(length) for box, length in zip(frame, lengths, strict=True)}


def unit(frame: Sequence[Box]) -> float:
    """Return the length of one robust deviation of darkness, in level-0 pixels."""
    corners = np.array(frame, np.float64)[:, :2]
    return WEIGHT * float(np.sqrt(corners.var(axis=0).mean()))


def unlike(
    frame: Sequence[Box],
    read: Sequence[Box],
    depth: Mapping[Box, float],
    count: int = DARK_REGIONS,
) -> tuple[Box, ...]:
    """Return up to `count` places that look darker than the region standing for them, row by row.

    The one farthest from all regions, in place and darkness, comes first and is a region for those
    after it. Nothing is random.
    """
    taken, gap = list(read), GAP * unit(frame) if frame else 0.0
    while taken and len(taken) < len(read) + count:
        apart = distances(frame, taken, depth)
        own = apart.argmin(axis=1)
        darker = [
            depth[box] - depth[taken[k]] > gap and box not in taken
            for box, k in zip(frame, own, strict=True)
        ]
        if not any(darker):
            break
        taken.append(frame[int(np.where(darker, apart.min(axis=1), -1.0).argmax())])
    return tuple(sorted(taken[len(read) :], key=lambda box: (box[1], box[0])))
