"""How dark places look on the thumbnail, and which of them are read at once for it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_files import GLASS, checkered_slide

from immunopath.imaging.intake import take_in
from immunopath.imaging.slides.darkness import (
    DARK_REGIONS,
    GAP,
    HIGHEST,
    LEAST_DEVIATION,
    depths,
    haematoxylin,
    unit,
    unlike,
)
from immunopath.imaging.slides.mask import Kind, TissueMask
from immunopath.imaging.slides.sample import sample_slide
from immunopath.imaging.slides.strata import strata_of
from immunopath.imaging.tiles import Box, TileStore

SIDE = 1024
SPOT = frozenset({(3, 2)})
"""A place of the checkered slide that the evenly spread regions do not meet."""


def block(columns: int, rows: int) -> tuple[Box, ...]:
    return tuple((SIDE * c, SIDE * r, SIDE, SIDE) for r in range(rows) for c in range(columns))


def painted(kinds: Kind = Kind.tissue) -> TissueMask:
    """Return four places of 8 x 8 pixels: pink, blue, half blue and half glass, and `kinds`."""
    rgb = np.full((8, 32, 3), GLASS, np.uint8)
    rgb[:, :8] = (230, 150, 190)
    rgb[:, 8:16] = rgb[:, 16:20] = rgb[:, 24:] = (110, 80, 160)
    shown = np.full((8, 32), Kind.tissue, np.uint8)
    shown[:, 20:24] = Kind.glass
    shown[:, 24:] = kinds
    return TissueMask(shown, 8.0, (243, 243, 243), 0.2, rgb)


def test_the_density_is_that_of_a_places_tissue_alone() -> None:
    frame = tuple((100 + 64 * n, 50, 64, 64) for n in range(4))
    pink, blue, half, other = haematoxylin(frame, (100, 50, 256, 64), painted())
    red, green = np.log(244 / 111), np.log(244 / 81)
    assert blue == half == other == pytest.approx(1.667 * red - 0.118 * green)
    assert pink < 0.1 < blue
    for kind in (Kind.pen, Kind.fold, Kind.grey, Kind.glass):
        assert haematoxylin(frame, (100, 50, 256, 64), painted(kind))[3] == 0


densities = st.lists(st.floats(0, 2), min_size=2, max_size=40)


@given(values=densities, shift=st.floats(0, 1))
@settings(deadline=None, max_examples=80)
def test_the_lighter_half_lies_at_the_surface(values: list[float], shift: float) -> None:
    frame = block(len(values), 1)
    found = depths(frame, np.array(values))
    assert list(found) == list(frame)
    middle, most = float(np.median(values)), HIGHEST * unit(frame)
    for value, depth in zip(values, found.values(), strict=True):
        assert 0 <= depth <= most + 0.1
        assert depth == 0 or value > middle
    order = np.argsort(values, kind="stable")
    assert all(b >= a for a, b in itertools.pairwise(np.array(list(found.values()))[order]))
    moved = depths(frame, np.array(values) + shift)
    assert all(abs(moved[box] - found[box]) <= 0.2 for box in frame)


def test_what_differs_by_noise_only_is_alike() -> None:
    frame = block(5, 5)
    noise = np.random.default_rng(0).uniform(0, LEAST_DEVIATION, 25)
    found = depths(frame, 0.5 + noise)
    assert unlike(frame, frame[:1], found) == ()
    assert depths((), np.zeros(0)) == {}


@given(
    values=st.lists(st.floats(0, 2), min_size=12, max_size=30),
    read=st.sets(st.integers(0, 11), min_size=1, max_size=6),
    count=st.integers(0, 6),
)
@settings(deadline=None, max_examples=80)
def test_unlike_places_are_darker_than_what_stands_for_them(
    values: list[float], read: set[int], count: int
) -> None:
    frame = block(6, 5)[: len(values)]
    depth = depths(frame, np.array(values))
    taken = [frame[n] for n in sorted(read)]
    found = unlike(frame, taken, depth, count)
    assert found == unlike(frame, taken, depth, count)
    assert len(set(found)) == len(found) <= count
    assert not set(found) & set(taken)
    gap = GAP * unit(frame)

    def left(boxes: list[Box]) -> set[Box]:
        parts = strata_of(frame, boxes, depth)
        return {p for box, mine in parts.items() for p in mine if depth[p] - depth[box] > gap}

    assert all(depth[box] > min(depth[b] for b in taken) + gap for box in found)
    if count:
        assert bool(found) == bool(left(taken))
    if len(found) < count:
        assert not left([*taken, *found])


def test_a_flat_slide_adds_nothing_and_the_farthest_dark_place_comes_first() -> None:
    frame = block(9, 1)
    assert unlike(frame, frame[4:5], dict.fromkeys(frame, 0.0)) == ()
    depth = dict.fromkeys(frame, 0.0) | {frame[6]: 9000.0, frame[8]: 9000.0}
    assert unlike(frame, frame[:1], depth, 1) == (frame[8],)
    assert unlike(frame, frame[:1], depth) == (frame[8],)  # which then stands for the other
    assert unlike((), (), {}) == ()


def test_a_dark_place_that_no_spread_region_meets_is_read(tmp_path: Path) -> None:
    plain = sample_slide(checkered_slide(tmp_path / "a.ome.tif"))
    assert plain.picture.dark == ()
    path = checkered_slide(tmp_path / "b.ome.tif", SPOT)
    sample = sample_slide(path)
    spot = (4 * SIDE, 3 * SIDE, SIDE, SIDE)
    boxes = [region.box for region in sample.regions]
    assert sample.picture.dark == (spot,)
    assert boxes == [*(region.box for region in plain.regions), spot]
    assert len(sample.picture.dark) <= DARK_REGIONS
    store = TileStore()
    found = take_in([path], None, store)
    assert found.sampling is not None
    (slide,), (visit,) = found.sampling.slides, found.sampling.rounds
    assert visit.by_thumbnail == (12,)
    assert visit.because.endswith("whatever it shows; 1 chosen by darkness on the thumbnail")
    assert "because it looks dark" in found.images[12].notes[-1]
    assert "because it looks dark" not in found.images[0].notes[-1]
    assert sum(s.places for s in slide.strata) == sum(s.places for s in slide.first) == 25
    assert [s.image for s in slide.first] == list(range(12))
    assert slide.strata[12].places == 1  # it stands for what looks like it: itself
    assert slide.strata[12].depth > 0
