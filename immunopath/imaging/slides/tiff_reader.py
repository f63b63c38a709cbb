"""Regions of tiled and pyramidal TIFF (OME with SubIFDs, generic, SVS) through tifffile.

Only the tiles or strips that a region touches are read and decoded.
"""

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import TiffPage

from immunopath.imaging.arrays import RGB
from immunopath.imaging.slides.slide import Level, SlideFacts
from immunopath.imaging.tiff import (
    DAMAGE,
    alone,
    damaged,
    first_page,
    format_name,
    orientation_of,
    quiet,
    require_complete,
    require_known_colours,
    to_rgb,
)
from immunopath.imaging.tiff_scale import embedded_resolution

_CACHE_BYTES = 64 * 1024 * 1024
_ASPECT = 0.05
"""A level whose two reductions differ by more than this (beyond rounding) is another image."""
_LARGEST_SEGMENT = 64_000_000
"""Pixels; a file in one huge strip gains nothing from reading by regions."""


def readable_by_regions(path: Path) -> bool:
    """Return whether the TIFF is one that `TiffReader` reads: 8 bits, interleaved, as it lies."""
    try:
        with quiet(), alone(path) as tif:
            page = first_page(tif, path)
            one_plane = page.planarconfig == tifffile.PLANARCONFIG.CONTIG and page.imagedepth == 1
            segment = page.tilewidth * page.tilelength if page.is_tiled else _strip_pixels(page)
            return bool(
                page.dtype == np.uint8
                and page.bitspersample == 8
                and one_plane
                and orientation_of(page) == 1
                and segment <= _LARGEST_SEGMENT
            )
    except DAMAGE as error:
        raise damaged(path, error) from error


def first_page_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of a TIFF's first page from its header, None for another file."""
    try:
        with quiet(), alone(path) as tif:
            page = first_page(tif, path)
            return page.imagewidth, page.imagelength
    except DAMAGE:
        return None


class TiffReader:
    """Implements `LevelReader` for the first image of a file and its reduced copies."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises `ImageReadError` for damage or colours that are not known."""
        self._path = path
        self._lock = threading.Lock()
        self._segments: OrderedDict[tuple[int, int], npt.NDArray[np.uint8]] = OrderedDict()
        self._held = 0
        try:
            with quiet():
                self._tif = alone(path)
                self._open()
        except DAMAGE as error:
            raise damaged(path, error) from error

    def _open(self) -> None:
        first = first_page(self._tif, self._path)
        require_known_colours(self._tif, first, self._path)
        pages = [level.pages[0] for level in self._tif.series[0].levels]
        self._pages = [page for page in pages if isinstance(page, TiffPage)] or [first]
        base = self._pages[0]
        self._pages = [page for page in self._pages if _is_copy(base, page)]
        for page in self._pages:
            require_complete(self._tif, page, self._path)
        embedded, note = embedded_resolution(self._tif, first)
        levels = tuple(
            Level(page.imagewidth, page.imagelength, base.imagewidth / page.imagewidth)
            for page in self._pages
        )
        self.facts = SlideFacts(
            reader=f"tifffile:{format_name(self._tif)}",
            levels=levels,
            embedded=embedded,
            bounds=(0, 0, base.imagewidth, base.imagelength),
            notes=(note,) if note else (),
        )

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGB:
        """See `LevelReader`."""
        page = self._pages[level]
        tile_width = page.tilewidth if page.is_tiled else page.imagewidth
        tile_height = page.tilelength if page.is_tiled else page.rowsperstrip
        across = -(-page.imagewidth // tile_width)
        out = np.zeros((height, width, page.samplesperpixel), np.uint8)
        try:
            for row in range(y // tile_height, -(-(y + height) // tile_height)):
                for column in range(x // tile_width, -(-(x + width) // tile_width)):
                    segment = self._segment(level, row * across + column)
                    _paste(out, segment, column * tile_width - x, row * tile_height - y)
            return to_rgb(out, page)[0]
        except DAMAGE as error:
            raise damaged(self._path, error) from error

    def _segment(self, level: int, index: int) -> npt.NDArray[np.uint8]:
        """Return one decoded tile or strip, (h, w, samples)."""
        with self._lock:
            known = self._segments.get((level, index))
            if known is not None:
                self._segments.move_to_end((level, index))
                return known
            page = self._pages[level]
            handle = self._tif.filehandle
            handle.seek(page.dataoffsets[index])
            data = handle.read(page.databytecounts[index])
            decoded, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
            if decoded is None:
                raise ValueError(f"segment {index} holds no data")
            segment = np.asarray(decoded[0, : shape[1], : shape[2]], dtype=np.uint8)
            self._segments[level, index] = segment
            self._held += segment.nbytes
            while self._held > _CACHE_BYTES and len(self._segments) > 1:
                self._held -= self._segments.popitem(last=False)[1].nbytes
            return segment

    def close(self) -> None:
        """Release the file."""
        self._tif.close()


def _paste(out: npt.NDArray[np.uint8], part: npt.NDArray[np.uint8], x: int, y: int) -> None:
    """Copy the part of `part` that falls on `out`, with its corner at (x, y)."""
    left, top = max(0, x), max(0, y)
    right = min(out.shape[1], x + part.shape[1])
    bottom = min(out.shape[0], y + part.shape[0])
    out[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]


def _is_copy(base: TiffPage, page: TiffPage) -> bool:
    """A level must be a reduction by the same factor both ways, coded as the first is."""
    across, down = base.imagewidth / page.imagewidth, base.imagelength / page.imagelength
    rounding = across / page.imagewidth + down / page.imagelength
    alike = (page.photometric, page.samplesperpixel, page.dtype, page.planarconfig) == (
        base.photometric,
        base.samplesperpixel,
        base.dtype,
        base.planarconfig,
    )
    return alike and across >= 1 and abs(across - down) <= _ASPECT * across + rounding


def _strip_pixels(page: TiffPage) -> int:
    return int(page.imagewidth * min(page.rowsperstrip, page.imagelength))
