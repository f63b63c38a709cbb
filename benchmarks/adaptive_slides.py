"""Synthetic slides for ``benchmarks/adaptive.py``: a grid of drawn fields with a rare hot region.

A slide is 5.6 mm of tissue in 11 x 11 places of 512 µm. Each place shows one of a few drawn fields
(`training.synthetic`), whose lymphocytes were counted while drawing: the truth of the slide is
known. The cold tissue varies smoothly; a disc somewhere in it is hot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.imaging.slides.darkness import depths
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.sample import spread
from immunopath.imaging.tiles import Box
from immunopath.training.synthetic.scene import Scene, place_field, scene_of

CELLS, SIDE_PX, MPP = 11, 1024, 0.5
HOT_FIELDS, COLD_FIELDS = 4, 12
DENSITY, DENSITY_SD = 0.55, 0.19
"""Haematoxylin of places of 512 µm on the real tissue at hand (docs/evidence.md)."""

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """A drawn field: its scene, the seed of its cells, and what was counted in it."""

    scene: Scene
    seed: int
    lymphocytes: int
    nuclei: int

    @property
    def share(self) -> float:
        """Lymphocytes per nucleus."""
        return self.lymphocytes / self.nuclei


@dataclass(frozen=True)
class Layout:
    """field: number of the field at each place; hot: whether the place lies in the disc."""

    frame: tuple[Box, ...]
    field: tuple[int, ...]
    hot: tuple[bool, ...]


def draw_fields() -> tuple[Field, ...]:
    """Return the cold fields from poor to less poor, then the hot ones."""
    cold = np.linspace(60, 900, COLD_FIELDS)
    hot = np.linspace(4500, 7000, HOT_FIELDS)
    scenes = [
        *(scene_of("excluded", float(n), size_px=SIDE_PX, mpp=MPP) for n in cold),
        *(scene_of("inflamed", float(n), size_px=SIDE_PX, mpp=MPP) for n in hot),
    ]
    fields = []
    for seed, scene in enumerate(scenes):
        truth = place_field(scene, seed).truth(scene)
        nuclei = truth.lymphocytes + truth.tumour + truth.stroma
        fields.append(Field(scene, seed, truth.lymphocytes, nuclei))
    return tuple(fields)


def lay_out(seed: int, hot_radius: float) -> Layout:
    """Return a slide: smooth cold tissue and one hot disc somewhere in it; 0 = no disc."""
    rng = np.random.default_rng([seed, 7])
    rows, columns = np.mgrid[:CELLS, :CELLS].astype(float)
    wave = _wave(rng)
    rank = np.argsort(np.argsort((wave + rng.normal(0, 0.6, wave.shape)).ravel()))
    cold = rank * COLD_FIELDS // rank.size
    middle = rng.uniform(1, CELLS - 2, 2)
    hot = (np.hypot(rows - middle[0], columns - middle[1]) <= hot_radius).ravel() & (hot_radius > 0)
    number = np.where(hot, COLD_FIELDS + rng.integers(0, HOT_FIELDS, rank.size), cold)
    frame = tuple(
        (SIDE_PX * (c + 1), SIDE_PX * (r + 1), SIDE_PX, SIDE_PX)
        for r in range(CELLS)
        for c in range(CELLS)
    )
    return Layout(frame, tuple(int(n) for n in number), tuple(bool(h) for h in hot))


def _wave(rng: np.random.Generator) -> F64:
    """Return a smooth pattern over the places, (rows, columns)."""
    rows, columns = np.mgrid[:CELLS, :CELLS].astype(float)
    found: F64 = np.zeros((CELLS, CELLS))
    for _ in range(4):
        found += np.cos(
            rng.normal(0, 0.5) * rows + rng.normal(0, 0.5) * columns + rng.uniform(0, 6.3)
        )
    return found


def depth_of(
    layout: Layout, fields: tuple[Field, ...], correlation: float, seed: int
) -> Mapping[Box, float]:
    """Return how dark a thumbnail shows each place, as the shipped rule scales it.

    The density of haematoxylin has exactly this correlation with the lymphocyte share over the
    places of the slide; the rest is half smooth (other dense tissue), half noise.
    """
    rng = np.random.default_rng([seed, 11])
    share = _standard(np.array([fields[n].share for n in layout.field]))
    rest = _standard(_wave(rng).ravel()) + rng.normal(size=share.size)
    rest = _standard(rest - share * (rest @ share) / share.size)
    look = correlation * share + (1 - correlation**2) ** 0.5 * rest
    return depths(layout.frame, DENSITY + DENSITY_SD * look)


def _standard(values: F64) -> F64:
    found: F64 = (values - values.mean()) / values.std()
    return found


def evenly(frame: tuple[Box, ...], count: int) -> tuple[Box, ...]:
    """Return places as the first round of a slide takes them, for any number of regions."""
    places = tuple(GridTile(b[0] // SIDE_PX, b[1] // SIDE_PX, b, 1.0, 0.0, 0.0) for b in frame)
    return tuple(place.box for place in spread(places, count))


def truth_of(layout: Layout, fields: tuple[Field, ...]) -> float:
    """Return the share of all nuclei of the slide that are lymphocytes."""
    chosen = [fields[n] for n in layout.field]
    return sum(f.lymphocytes for f in chosen) / sum(f.nuclei for f in chosen)


def by_box(layout: Layout, fields: tuple[Field, ...]) -> Mapping[Box, Field]:
    """Return the field at each place."""
    return {box: fields[n] for box, n in zip(layout.frame, layout.field, strict=True)}
