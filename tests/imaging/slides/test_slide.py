"""Regions at a wanted resolution."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from he_fields import he_field
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_files import halved, write_pyramid

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.arrays import RGB
from immunopath.imaging.slides import slide as slides
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.slide import BLOCK_PX, Level, Slide, SlideFacts


class Held:
    """A reader over an array; counts what is asked of it."""

    def __init__(self, rgb: RGB, downsamples: tuple[float, ...] = (1.0,)) -> None:
        self.pixels = [rgb]
        for _ in downsamples[1:]:
            self.pixels.append(halved(self.pixels[-1]))
        levels = tuple(
            Level(p.shape[1], p.shape[0], d) for p, d in zip(self.pixels, downsamples, strict=True)
        )
        self.facts = SlideFacts("test", levels, None, (0, 0, rgb.shape[1], rgb.shape[0]))
        self.asked: list[tuple[int, int, int]] = []

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGB:
        self.asked.append((level, width, height))
        part = self.pixels[level][y : y + height, x : x + width]
        assert part.shape[:2] == (height, width)
        return part

    def close(self) -> None:
        pass


def test_the_coarsest_level_that_is_fine_enough_is_read() -> None:
    held = Held(he_field(1024, 1024), (1.0, 2.0, 4.0))
    slide = Slide(Path("a"), held, 0.25)
    assert [slide.best_level(mpp) for mpp in (0.2, 0.25, 0.49, 0.5, 0.8, 1.0, 4.0)] == [
        0, 0, 0, 1, 1, 2, 2,
    ]  # fmt: skip
    slide.read_region((0, 0, 1024, 1024), (512, 512))
    assert held.asked == [(1, 512, 512)]


def test_a_region_is_reduced_by_area() -> None:
    rgb = he_field(900, 900)
    slide = Slide(Path("a"), Held(rgb), 0.25)
    region = slide.read_region((100, 50, 600, 600), (300, 300))
    expected = cv2.resize(rgb[50:650, 100:700], (300, 300), interpolation=cv2.INTER_AREA)
    assert np.array_equal(region, expected)


def test_a_large_region_is_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = he_field(1000, 1500)
    whole = Slide(Path("a"), Held(rgb), 0.5).thumbnail(8)
    monkeypatch.setattr(slides, "BLOCK_PX", 256)
    held = Held(rgb)
    blocks = Slide(Path("a"), held, 0.5).thumbnail(8)
    assert max(max(w, h) for _, w, h in held.asked) <= 300
    assert blocks.shape == whole.shape == (62, 94, 3)
    assert np.abs(blocks.astype(int) - whole).mean() < 1.5


@settings(deadline=None)
@given(length=st.integers(1, 300_000), shrink=st.floats(1, 200))
def test_blocks_cover_a_line_once(length: int, shrink: float) -> None:
    out = max(1, round(length / shrink))
    cuts = slides._cuts(length, out)
    assert cuts[0][0][0] == 0
    assert cuts[-1][0][1] == length
    assert cuts[-1][1][1] == out
    for (first, image), (second, next_image) in itertools.pairwise(cuts):
        assert first[1] == second[0]
        assert image[1] == next_image[0]
    assert all(b > a and q > p for (a, b), (p, q) in cuts)
    assert max(b - a for (a, b), _ in cuts) <= BLOCK_PX + length / out + 1


def test_a_slide_and_its_halved_copy_show_the_same(tmp_path: Path) -> None:
    fine = np.asarray(cv2.resize(he_field(700, 700), (1400, 1400), interpolation=cv2.INTER_CUBIC))
    one = write_pyramid(tmp_path / "fine.tif", fine, mpp=0.25, levels=1)
    two = write_pyramid(tmp_path / "half.tif", halved(fine), mpp=0.5, levels=1)
    with open_slide(one) as a, open_slide(two) as b:
        left = a.read_region((200, 100, 1024, 1024), (512, 512))
        right = b.read_region((100, 50, 512, 512), (512, 512))
    assert np.abs(left.astype(int) - right).max() <= 1


@pytest.mark.parametrize("box", [(-1, 0, 10, 10), (0, 0, 101, 10), (95, 0, 10, 10), (0, 0, 0, 5)])
def test_a_box_outside_is_a_fault_of_the_caller(box: tuple[int, int, int, int]) -> None:
    slide = Slide(Path("a"), Held(he_field(100, 100)), 0.5)
    with pytest.raises(ValueError, match="outside 100 x 100"):
        slide.read_region(box, (5, 5))


class Vast:
    """A reader of levels that are only stated; what is read of them is grey."""

    def __init__(self, *levels: Level) -> None:
        first = levels[0]
        self.facts = SlideFacts("test", levels, None, (0, 0, first.width, first.height))

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGB:
        return np.full((height, width, 3), 128, np.uint8)

    def close(self) -> None:
        pass


def test_an_overview_may_be_coarser_than_any_scan() -> None:
    levels = Level(600_000, 300_000, 1.0), Level(4_000, 2_000, 150.0)
    slide = Slide(Path("a"), Vast(*levels), 0.25)
    assert slide.thumbnail(8.0, 1600).shape == (800, 1600, 3)


def test_an_overview_that_would_take_hours_is_refused() -> None:
    """A few megabytes can state a million pixels a side, all of them the same tile."""
    slide = Slide(Path("a.tif"), Vast(Level(1_000_000, 1_000_000, 1.0)), 0.25)
    with pytest.raises(ImageReadError, match=r"a\.tif: 1000 thousand million pixels would have"):
        slide.thumbnail(8.0)
