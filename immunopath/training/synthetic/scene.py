"""What a synthetic field shows: its content, its cells, and what can be counted in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.imaging.arrays import FloatMap
from immunopath.training.synthetic.texture import smooth_field

Layout = Literal["inflamed", "excluded", "desert"]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]
Rng = np.random.Generator

TUMOUR_PITCH_UM: Final = 11.0
"""Distance of neighbouring tumour nuclei in a nest."""
STROMA_PER_MM2: Final = 1500.0
CLEARANCE_UM: Final = 5.5
"""A tumour or stroma nucleus nearer than this to a lymphocyte gives way to it."""
NEST_GRAIN_UM: Final = 28.0
"""Scale (sigma) of the random field that nests are cut from."""


class Scene(Frozen):
    """The content of one square field; colours are no part of it.

    size_px, mpp: of the rendered image (µm per pixel); tumour_share: of the area, in [0, 1];
    outside_per_mm2, inside_per_mm2: expected lymphocytes per mm² of stroma and of nest;
    clumping: 0 = evenly scattered, 1 = strongly gathered; fibrosis: how dense the eosin fibres of
    the stroma are, in [0, 1].
    """

    size_px: int = Field(default=224, ge=16, le=8192)
    mpp: float = Field(default=0.5, ge=0.05, le=20)
    tumour_share: float = Field(default=0.5, ge=0, le=1)
    outside_per_mm2: float = Field(default=1500, ge=0, le=20000)
    inside_per_mm2: float = Field(default=500, ge=0, le=20000)
    clumping: float = Field(default=0.3, ge=0, le=1)
    fibrosis: float = Field(default=0.4, ge=0, le=1)

    @property
    def side_um(self) -> float:
        """Return the length of a side in µm."""
        return self.size_px * self.mpp


def scene_of(layout: Layout, per_mm2: float = 3000.0, **changes: float) -> Scene:
    """Return a typical scene of a layout; `per_mm2`: lymphocytes where they are many."""
    densities = {
        "inflamed": (per_mm2, 0.8 * per_mm2),
        "excluded": (per_mm2, 0.02 * per_mm2),
        "desert": (min(0.05 * per_mm2, 300.0), min(0.02 * per_mm2, 100.0)),
    }
    outside, inside = densities[layout]
    content = {"outside_per_mm2": outside, "inside_per_mm2": inside, **changes}
    return Scene.model_validate(content)


class FieldTruth(Frozen):
    """What was drawn into one field, counted; areas in mm². Centres inside the image count."""

    lymphocytes: int
    lymphocytes_inside: int
    tumour: int
    stroma: int
    nest_mm2: float
    area_mm2: float

    @property
    def share(self) -> float:
        """Return lymphocytes per nucleus, in [0, 1]."""
        return self.lymphocytes / max(1, self.lymphocytes + self.tumour + self.stroma)

    @property
    def inside_per_mm2(self) -> float | None:
        """Return the density of lymphocytes in nests; None without nests."""
        return self.lymphocytes_inside / self.nest_mm2 if self.nest_mm2 > 0 else None

    @property
    def outside_per_mm2(self) -> float | None:
        """Return the density of lymphocytes outside nests; None when all is nest."""
        area = self.area_mm2 - self.nest_mm2
        return (self.lymphocytes - self.lymphocytes_inside) / area if area > 0 else None

    @classmethod
    def total(cls, fields: Sequence[Self]) -> Self:
        """Return the counts of several fields together."""
        return cls(**{name: sum(getattr(f, name) for f in fields) for name in cls.model_fields})


@dataclass(frozen=True)
class Cells:
    """Where everything lies: centres in µm (x, y), shape (n, 2); nest: mask at the image's size."""

    lymphocytes: Points
    tumour: Points
    stroma: Points
    nest: Mask

    def truth(self, scene: Scene) -> FieldTruth:
        """Return the counts."""
        side = scene.side_um
        here = {
            name: points[((points >= 0) & (points < side)).all(axis=1)]
            for name, points in (
                ("l", self.lymphocytes), ("t", self.tumour), ("s", self.stroma),
            )
        }  # fmt: skip
        return FieldTruth(
            lymphocytes=len(here["l"]),
            lymphocytes_inside=int(_inside(here["l"], self.nest, scene.mpp).sum()),
            tumour=len(here["t"]),
            stroma=len(here["s"]),
            nest_mm2=float(self.nest.mean()) * (side / 1000) ** 2,
            area_mm2=(side / 1000) ** 2,
        )


def place_field(scene: Scene, seed: int) -> Cells:
    """Return the cells that `render` draws for this scene and seed."""
    rng = np.random.default_rng([seed, 0])
    nest = _nests(scene, rng)
    crowd = 1 + scene.clumping * 1.5 * smooth_field(scene.size_px, 18.0 / scene.mpp, rng)
    crowd = np.clip(crowd, 0.0, None)
    crowd /= max(float(crowd.mean()), 1e-6)
    density = np.where(nest, scene.inside_per_mm2, scene.outside_per_mm2) * crowd
    lymphocytes = _scattered(density, scene, rng)
    tumour = _lattice(scene, rng)
    tumour = _cleared(tumour[_inside(tumour, nest, scene.mpp)], lymphocytes)
    stroma = _scattered(np.where(nest, 0.0, STROMA_PER_MM2), scene, rng)
    return Cells(lymphocytes, tumour, _cleared(stroma, lymphocytes), nest)


def _nests(scene: Scene, rng: Rng) -> Mask:
    """Cut a smooth field where the wanted share of the area lies above."""
    height: FloatMap = smooth_field(scene.size_px, NEST_GRAIN_UM / scene.mpp, rng)
    if scene.tumour_share <= 0:
        return np.zeros(height.shape, dtype=np.bool_)
    return np.asarray(height >= np.quantile(height, 1 - scene.tumour_share), dtype=np.bool_)


def _scattered(density: npt.NDArray[np.floating], scene: Scene, rng: Rng) -> Points:
    """Return points of a Poisson process with a density per mm² on the image's grid."""
    top = float(density.max())
    if top <= 0:
        return np.zeros((0, 2))
    n = rng.poisson(top * (scene.side_um / 1000) ** 2)
    points = rng.uniform(0, scene.side_um, (n, 2))
    column, row = _pixels(points, scene.mpp, density.shape[0])
    return points[rng.uniform(0, top, n) < density[row, column]]


def _lattice(scene: Scene, rng: Rng) -> Points:
    """Return a jittered hexagonal lattice over the field and a little beyond."""
    step = TUMOUR_PITCH_UM
    rows = np.arange(-step, scene.side_um + step, step * 0.87)
    columns = np.arange(-step, scene.side_um + step, step)
    x, y = np.meshgrid(columns, rows)
    x = x + (np.arange(len(rows)) % 2)[:, None] * step / 2
    points = np.stack([x, y], -1).reshape(-1, 2) + rng.uniform(-step, step, 2)
    return np.asarray(points + rng.normal(0, step * 0.16, points.shape))


def _cleared(points: Points, lymphocytes: Points) -> Points:
    """Leave out nuclei that a lymphocyte would cover."""
    from scipy.spatial import KDTree

    if not len(points) or not len(lymphocytes):
        return points
    distance, _ = KDTree(lymphocytes).query(points)
    return points[distance > CLEARANCE_UM]


def _inside(points: Points, nest: Mask, mpp: float) -> Mask:
    column, row = _pixels(points, mpp, nest.shape[0])
    return nest[row, column]


def _pixels(
    points: Points, mpp: float, size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pixel columns and rows that points lie in, the outermost for those beyond."""
    found = np.clip((points / mpp).astype(np.intp), 0, size - 1)
    return found[:, 0], found[:, 1]
