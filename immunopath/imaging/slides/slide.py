"""One slide, whatever file it comes from: levels, scale, regions at a wanted resolution."""

import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np

from immunopath.domain.errors import ImageReadError, ResolutionError
from immunopath.domain.units import MppSource, Resolution, checked_mpp
from immunopath.imaging.arrays import RGB
from immunopath.imaging.resolution import resolve_resolution
from immunopath.imaging.tiles import Box

BLOCK_PX = 2048
"""Side of the blocks in which a large region is read and reduced, in pixels of its level."""
LARGEST_SIDE_PX = 1_000_000
"""A quarter of a metre at 0.25 µm/px."""
MOST_TO_READ = 2e10
"""Pixels of one level, for an overview: more than any scanner's finest, some minutes of reading."""
FINER_LEVEL = 1.02
"""A level may be this much coarser than what is wanted: 0.5040 µm/px serves 0.5."""


@dataclass(frozen=True)
class Level:
    """One level of a pyramid: size in its own pixels, level-0 pixels per pixel of it."""

    width: int
    height: int
    downsample: float


@dataclass(frozen=True)
class SlideFacts:
    """What a reader found out about a slide before any pixel is used.

    reader: ``openslide:aperio``, ``tifffile:OME-TIFF``, ``image:PNG`` …; embedded: the resolution
    that the file states, None when it states none that can be used; bounds: the part that was
    scanned, in level-0 pixels; properties: the vendor's own keys, without free text about the
    patient.
    """

    reader: str
    levels: tuple[Level, ...]
    embedded: Resolution | None
    bounds: Box
    properties: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class LevelReader(Protocol):
    """What a file format has to offer."""

    @property
    def facts(self) -> SlideFacts:
        """What is known about the slide."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGB:
        """Return pixels of a level, (height, width, 3); x and y are pixels of that level.

        The box lies inside the level. Raises `ImageReadError` for damaged data.
        """

    def close(self) -> None:
        """Release the file."""


class Slide:
    """A slide with its resolution settled: what the user stated, else what the file says.

    Use it as a context manager. One slide serves one thread or process.
    """

    def __init__(self, path: Path, reader: LevelReader, stated_mpp: float | None = None) -> None:
        """Settle the resolution; raises `ResolutionError` for a stated mpp that is none.

        Raises `ImageReadError` for a size that no slide has: its header is wrong or a trap.
        """
        self.path = path
        self._reader = reader
        self.facts = reader.facts
        if max(self.dimensions) > LARGEST_SIDE_PX or min(self.dimensions) < 1:
            width, height = self.dimensions
            raise ImageReadError(f"{path}: states {width} x {height} pixels; no slide is that size")
        self.resolution = resolve_resolution(self.facts.embedded, stated_mpp)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height of level 0 in pixels."""
        return self.facts.levels[0].width, self.facts.levels[0].height

    @property
    def mpp(self) -> float:
        """Micrometres per level-0 pixel."""
        return self.resolution.mpp

    def require_known_scale(self) -> None:
        """Raise `ResolutionError` when nobody said how large a pixel is."""
        if self.resolution.source is not MppSource.assumed:
            return
        power = self.facts.properties.get("openslide.objective-power")
        hint = f" (its objective power of {power} is no measurement)" if power else ""
        said = "; ".join(self.facts.notes)
        raise ResolutionError(
            f"{self.path}: states no resolution{hint}; state its micrometres per pixel"
            + (f" ({said})" if said else "")
        )

    def best_level(self, mpp: float) -> int:
        """Return the coarsest level that is fine enough for `mpp`, else level 0."""
        return self._level_for(checked_mpp(mpp) / self.mpp)

    def _level_for(self, shrink: float) -> int:
        """Return the coarsest level for `shrink` level-0 pixels a pixel, however many they are."""
        levels = self.facts.levels
        fit = [i for i, level in enumerate(levels) if level.downsample <= shrink * FINER_LEVEL]
        return max(fit, key=lambda i: levels[i].downsample, default=0)

    def read_region(self, box: Box, size: tuple[int, int]) -> RGB:
        """Return a box of level-0 pixels resampled to `size` (width, height), uint8 sRGB.

        Read from the coarsest level that is fine enough and reduced by area averages; corners are
        snapped to pixels of that level, so they are off by half a wanted pixel at most. The box
        must lie inside the slide.
        """
        x, y, width, height = box
        full_width, full_height = self.dimensions
        inside = x >= 0 and y >= 0 and x + width <= full_width and y + height <= full_height
        if not inside or min(width, height, *size) < 1:
            raise ValueError(f"box {box} is empty or outside {full_width} x {full_height} pixels")
        index = self._level_for(min(width / size[0], height / size[1]))
        level = self.facts.levels[index]
        left, right = _snap(x, width, level.downsample, level.width)
        top, bottom = _snap(y, height, level.downsample, level.height)
        if max(right - left, bottom - top) <= 2 * BLOCK_PX:
            return _resized(self._reader.read(index, left, top, right - left, bottom - top), size)
        return self._reduced(index, (left, top, right - left, bottom - top), size)

    def _reduced(self, index: int, box: Box, size: tuple[int, int]) -> RGB:
        """Resample block by block, so that a whole slide never lies in memory."""
        x, y, width, height = box
        out = np.empty((size[1], size[0], 3), np.uint8)
        columns, rows = _cuts(width, size[0]), _cuts(height, size[1])
        for (top, bottom), (out_top, out_bottom) in rows:
            for (left, right), (out_left, out_right) in columns:
                block = self._reader.read(index, x + left, y + top, right - left, bottom - top)
                part = (out_right - out_left, out_bottom - out_top)
                out[out_top:out_bottom, out_left:out_right] = _resized(block, part)
        return out

    def thumbnail(self, mpp: float, max_px: int = 4096) -> RGB:
        """Return the scanned bounds at about `mpp` µm per pixel, at most `max_px` long.

        Raises `ImageReadError` when no level is coarse enough to do so in minutes.
        """
        _, _, width, height = self.facts.bounds
        shrink = max(mpp / self.mpp, max(width, height) / max_px, 1.0)
        level = self.facts.levels[self._level_for(shrink)]
        to_read = width * height / level.downsample**2
        if to_read > MOST_TO_READ:
            raise ImageReadError(
                f"{self.path}: {to_read / 1e9:.0f} thousand million pixels would have to be read "
                "for an overview; export it with a pyramid of coarser levels"
            )
        size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        return self.read_region(self.facts.bounds, size)


def refuse_unless_readable(path: Path) -> None:
    """Raise `ImageReadError` for what is no file with content; a folder may be a DICOM slide."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ImageReadError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError) as error:  # a loop of links, a name too long, no permission
        reason = getattr(error, "strerror", None) or error
        raise ImageReadError(f"{path}: cannot be read ({reason}); check the path") from None
    if stat.S_ISDIR(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise ImageReadError(f"{path}: is not a regular file; copy the slide to a file first")
    if status.st_size == 0:
        raise ImageReadError(f"{path}: is empty (0 bytes); copy or export it again")


def _snap(start: int, length: int, downsample: float, limit: int) -> tuple[int, int]:
    first = min(round(start / downsample), limit - 1)
    last = min(max(round((start + length) / downsample), first + 1), limit)
    return first, last


def _cuts(length: int, out: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut a line of `length` pixels and its image of `out` pixels at the same places."""
    pieces = min(out, max(1, math.ceil(length / BLOCK_PX)))
    marks = [round(k * out / pieces) for k in range(pieces + 1)]
    ends = [round(mark * length / out) for mark in marks]
    return [
        ((ends[k], ends[k + 1]), (marks[k], marks[k + 1]))
        for k in range(pieces)
        if marks[k + 1] > marks[k]
    ]


def _resized(rgb: RGB, size: tuple[int, int]) -> RGB:
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return np.ascontiguousarray(rgb)
    way = cv2.INTER_AREA if width >= size[0] else cv2.INTER_CUBIC
    resized = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=way)
    return np.asarray(resized, dtype=np.uint8)
