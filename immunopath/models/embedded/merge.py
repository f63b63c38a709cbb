"""One nucleus, one point: fragments of one nucleus are joined, large nuclei counted once.

Two steps. Other nuclei whose points climb to the same maximum of the 3 µm Laplacian within 4.5 µm
are one. Then a compact dark component of 30 to 260 µm² is one other nucleus, whatever points it
holds: rim and chromatin of a large vesicular nucleus look like lymphocytes one by one.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.candidates import Candidates
from immunopath.models.embedded.classifier import NucleiClassifier
from immunopath.models.embedded.density import BOOL, F32, WORK_MPP
from immunopath.models.embedded.features import Measured

CLIMB_RADIUS_UM = 4.5
HALF_UM = 2 * WORK_MPP
"""µm per pixel of the half-size maps."""
LOCAL_MEAN_UM = 16.0
LOCAL_OFFSET = 0.15
HOLE_UM2 = 15.0
OPENING_RADIUS_UM = 3.0
LARGE_UM2 = (30.0, 260.0)
LARGE_FILL = 0.9

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of one field, shape (n,) each; x and y in µm from the field's corner, float32."""

    x_um: F32
    y_um: F32
    area_um2: F32
    axis_ratio: F32
    p_lymphocyte: F32
    is_lymphocyte: BOOL

    def __len__(self) -> int:
        return int(self.x_um.shape[0])

    def take(self, index: BOOL | I64) -> "Nuclei":
        """Return the chosen nuclei."""
        return Nuclei(
            self.x_um[index],
            self.y_um[index],
            self.area_um2[index],
            self.axis_ratio[index],
            self.p_lymphocyte[index],
            self.is_lymphocyte[index],
        )

    def columns(self) -> tuple[F32, F32, F32, F32, F32, BOOL]:
        """Return all columns in the order of the fields."""
        return (
            self.x_um, self.y_um, self.area_um2, self.axis_ratio, self.p_lymphocyte,
            self.is_lymphocyte,
        )  # fmt: skip

    @staticmethod
    def join(parts: list["Nuclei"]) -> "Nuclei":
        """Return all nuclei of `parts`, in order; an empty value for no parts."""
        if not parts:
            none = np.zeros(0, np.float32)
            return Nuclei(none, none, none, none, none, np.zeros(0, np.bool_))
        return Nuclei(*(np.concatenate(c) for c in zip(*(p.columns() for p in parts), strict=True)))


def call_nuclei(
    found: Candidates, measured: Measured, classifier: NucleiClassifier, gain: float
) -> Nuclei:
    """Return the candidates that are nuclei, one point per candidate (no merging yet)."""
    table = classifier.probabilities(measured.values, gain)
    nucleus, share, lymphocyte = classifier.decide(table)
    regions = measured.regions
    every = Nuclei(
        (found.x.astype(np.float32) + 0.5) * WORK_MPP,
        (found.y.astype(np.float32) + 0.5) * WORK_MPP,
        regions.area,
        regions.axis_ratio,
        share,
        lymphocyte,
    )
    return every.take(nucleus)


def merge_nuclei(nuclei: Nuclei, measured: Measured, gain: float) -> Nuclei:
    """Return `nuclei` with fragments joined and large nuclei counted once."""
    return _absorb_large(_join_fragments(nuclei, measured.log3), measured.red_half, gain)


def _join_fragments(nuclei: Nuclei, log3: F32) -> Nuclei:
    """Join other nuclei that climb to one maximum of `log3`; lymphocytes stay as they are."""
    other = np.flatnonzero(~nuclei.is_lymphocyte)
    if other.size < 2:
        return nuclei
    peak = _climb(nuclei.x_um[other], nuclei.y_um[other], log3)
    # A point whose climb left the radius stays its own: give it a name nobody shares.
    peak = np.where(peak >= 0, peak, -1 - np.arange(other.size))
    order = np.lexsort((nuclei.p_lymphocyte[other], peak))
    first = np.ones(other.size, np.bool_)
    first[1:] = peak[order][1:] != peak[order][:-1]
    group = np.cumsum(first) - 1
    keep = other[order[first]]
    count = np.bincount(group)
    members, chosen = nuclei.take(other[order]), nuclei.take(keep)
    largest = np.zeros(len(keep), np.float32)
    np.maximum.at(largest, group, members.area_um2)
    merged = replace(
        chosen,
        x_um=(np.bincount(group, members.x_um) / count).astype(np.float32),
        y_um=(np.bincount(group, members.y_um) / count).astype(np.float32),
        area_um2=largest,
    )
    joined = Nuclei.join([nuclei.take(nuclei.is_lymphocyte), merged])
    return joined.take(np.lexsort((joined.x_um, joined.y_um)))


def _climb(x_um: F32, y_um: F32, log3: F32) -> I64:
    """Return the flat index of the maximum each point climbs to, -1 if beyond 4.5 µm."""
    height, width = log3.shape
    x0 = np.minimum((x_um / HALF_UM).astype(np.int64), width - 1)
    y0 = np.minimum((y_um / HALF_UM).astype(np.int64), height - 1)
    padded = cv2.copyMakeBorder(log3, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=-1e9)
    stride = width + 2
    flat = padded.ravel()
    offsets = np.array([0, -stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride,
                        stride + 1])  # fmt: skip
    at = (y0 + 1) * stride + x0 + 1
    for _ in range(int(CLIMB_RADIUS_UM / HALF_UM) + 2):
        at = at + offsets[flat[at[:, None] + offsets].argmax(axis=1)]
    y, x = np.divmod(at, stride)
    away = np.hypot(x - 1 - x0, y - 1 - y0) * HALF_UM
    return np.where(away <= CLIMB_RADIUS_UM, at, -1)


def _absorb_large(nuclei: Nuclei, red_half: F32, gain: float) -> Nuclei:
    """Replace the points inside each compact large component by one other nucleus."""
    if len(nuclei) == 0:
        return nuclei
    labels, centre, area, axis_ratio = large_components(red_half, gain)
    height, width = labels.shape
    x = np.minimum((nuclei.x_um / HALF_UM).astype(np.int64), width - 1)
    y = np.minimum((nuclei.y_um / HALF_UM).astype(np.int64), height - 1)
    owner = labels[y, x]
    held = np.unique(owner[owner > 0]) - 1
    # The component speaks with its least lymphocyte-like point: it is called another nucleus.
    lowest = np.ones(len(area), np.float32)
    np.minimum.at(lowest, owner[owner > 0] - 1, nuclei.p_lymphocyte[owner > 0])
    large = Nuclei(
        centre[held, 0], centre[held, 1], area[held], axis_ratio[held],
        lowest[held], np.zeros(held.size, np.bool_),
    )  # fmt: skip
    joined = Nuclei.join([nuclei.take(owner == 0), large])
    return joined.take(np.lexsort((joined.x_um, joined.y_um)))


def large_components(red_half: F32, gain: float) -> tuple[npt.NDArray[np.int32], F32, F32, F32]:
    """Return labels (0 = none, else 1 + row), centres in µm (k, 2), areas in µm², axis ratios."""
    local = cv2.blur(red_half, (int(LOCAL_MEAN_UM / HALF_UM) + 1,) * 2)
    dark = (red_half > local + np.float32(LOCAL_OFFSET / gain)).astype(np.uint8)
    _fill_small_holes(dark)
    radius = round(OPENING_RADIUS_UM / HALF_UM)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, disc)
    n, labels, stats, centroids = cv2.connectedComponentsWithStats(opened, connectivity=4)
    flat = np.flatnonzero(labels)
    owner = labels.ravel()[flat]
    row, column = np.divmod(flat, labels.shape[1])
    dx, dy = column - centroids[owner, 0], row - centroids[owner, 1]
    count = np.maximum(stats[:, cv2.CC_STAT_AREA].astype(np.float64), 1)
    xx, yy, xy = (np.bincount(owner, v, n) / count for v in (dx * dx, dy * dy, dx * dy))
    xx, yy = xx + 1 / 12, yy + 1 / 12
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    fill = count / (4 * np.pi * np.sqrt(np.maximum(xx * yy - xy * xy, 1e-6)))
    area = count * HALF_UM**2
    good = (fill > LARGE_FILL) & (area >= LARGE_UM2[0]) & (area <= LARGE_UM2[1])
    good[0] = False
    name = np.where(good, np.cumsum(good), 0).astype(np.int32)
    ratio = np.sqrt(np.maximum(middle - half, 0) / (middle + half))
    return (
        name[labels],
        ((centroids[good] + 0.25) * HALF_UM).astype(np.float32),
        area[good].astype(np.float32),
        ratio[good].astype(np.float32),
    )


def _fill_small_holes(dark: npt.NDArray[np.uint8]) -> None:
    """Fill, in place, background components smaller than 15 µm²."""
    n, labels, stats, _ = cv2.connectedComponentsWithStats(1 - dark, connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] * HALF_UM**2 < HOLE_UM2
    small[0] = False
    if n > 1:
        dark[small[labels]] = 1
