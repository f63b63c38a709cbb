"""The grid of tiles over an image, resampling, and the run-scoped store of tiles."""

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from immunopath.domain.quality import QualityReport, TileSummary, Verdict
from immunopath.domain.units import TILE_PX, WORKING_MPP, Resolution, checked_mpp
from immunopath.imaging.arrays import RGB
from immunopath.imaging.decode import DecodedImage
from immunopath.imaging.quality import assess_quality

Box = tuple[int, int, int, int]
"""x, y, width, height in level-0 pixels."""

MIN_SLIVER_PX = 48
"""A remainder narrower than this, in pixels at `WORKING_MPP`, joins its neighbour."""
_OF_ONE_TILE_ONLY = frozenset({"tissue_share", "blur", "red"})
"""What a whole image may lack while single tiles are sound."""


def plan_tiles(width: int, height: int, mpp: float) -> tuple[Box, ...]:
    """Return disjoint boxes in reading order that cover `width` x `height` pixels exactly.

    Tiles are 512 px at 0.5 µm per pixel (256 µm); the last ones of a row or column may be partial.
    An image no larger than one tile is one tile. Raises `ResolutionError` for an unusable mpp.
    """
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} pixels has no tiles")
    scale = WORKING_MPP / checked_mpp(mpp)
    columns, rows = _edges(width, scale), _edges(height, scale)
    return tuple(
        (x0, y0, x1 - x0, y1 - y0)
        for y0, y1 in itertools.pairwise(rows)
        for x0, x1 in itertools.pairwise(columns)
    )


def _edges(length: int, scale: float) -> list[int]:
    side = TILE_PX * scale
    count = max(1, math.floor(length / side))
    edges = [round(k * side) for k in range(count + 1)]
    if length <= side:
        return [0, length]
    rest = length - edges[-1]
    if rest >= MIN_SLIVER_PX * scale:
        edges.append(length)
    else:
        edges[-1] = length
    return edges


def resampled_size(width: int, height: int, mpp_from: float, mpp_to: float) -> tuple[int, int]:
    """Return width and height after resampling: the same micrometres, at least one pixel."""
    ratio = mpp_from / mpp_to
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def resample(rgb: RGB, mpp_from: float, mpp_to: float) -> RGB:
    """Return `rgb` (h, w, 3) at `mpp_to` µm per pixel: area average down, cubic interpolation up.

    The same array is returned when its size does not change.
    """
    height, width = rgb.shape[:2]
    size = resampled_size(width, height, mpp_from, mpp_to)
    if size == (width, height):
        return rgb
    way = cv2.INTER_AREA if mpp_to > mpp_from else cv2.INTER_CUBIC
    out = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=way)
    return np.asarray(out, dtype=np.uint8)


@dataclass(frozen=True)
class _StoredImage:
    pixels: RGB
    mpp: float


@dataclass(frozen=True)
class _Placed:
    image_index: int
    box: Box


@dataclass(frozen=True)
class SlidePicture:
    """A slide of which regions are images of the case.

    path, name, sha256: of the file, where regions can be read; reader: which reads it; pixels: its
    thumbnail; box: what the thumbnail shows, in level-0 pixels; resolution: of level 0; frame: the
    places worth reading, none where regions were picked by hand; notes: on the slide as a whole;
    depth: how dark each place looks, as a length in level-0 pixels; dark: places read in the first
    round for that.
    """

    path: Path
    name: str
    sha256: str
    reader: str
    pixels: RGB
    box: Box
    resolution: Resolution
    frame: tuple[Box, ...]
    notes: tuple[str, ...]
    depth: Mapping[Box, float] = field(default_factory=dict)
    dark: tuple[Box, ...] = ()


@dataclass(frozen=True)
class AddedImage:
    """An image as it entered the store; `tiles` are all of its tiles, refused ones included."""

    index: int
    quality: QualityReport
    tiles: tuple[TileSummary, ...]


class TileStore:
    """The images of one case, decoded once, and their tiles, resampled on demand.

    Implements `immunopath.models.protocols.TileSource`; engines may read it from several threads.
    Every array it returns is read-only and shared: copy before writing.
    """

    def __init__(self, cache_bytes: int = 256 * 1024 * 1024) -> None:
        """Keep at most `cache_bytes` of resampled tiles; more are computed again when asked for."""
        self._cache_bytes = cache_bytes
        self._lock = threading.Lock()
        self._images: list[_StoredImage] = []
        self._placed: dict[str, _Placed] = {}
        self._summaries: list[TileSummary] = []
        self._cache: OrderedDict[tuple[str, float, float], RGB] = OrderedDict()
        self._cached = 0
        self.slides: dict[str, SlidePicture] = {}
        """Thumbnails of slides by the digest of their file, which their regions share."""

    def add_image(
        self, image: DecodedImage, mpp: float, mpp_source: str | None = None
    ) -> AddedImage:
        """Lay out, check and register the tiles of an image at `mpp` µm per pixel.

        Tiles finer than the working resolution are checked at 0.5 µm per pixel, others as they are.
        An image that is no H&E as a whole takes its tiles along: a pink corner of a photograph is
        still a photograph. Little tissue does not: glass around a biopsy is no fault.
        """
        checked_mpp(mpp)
        pixels = image.pixels.view()
        pixels.setflags(write=False)
        height, width = pixels.shape[:2]
        boxes = plan_tiles(width, height, mpp)
        with self._lock:
            index = len(self._images)
            self._images.append(_StoredImage(pixels, mpp))
            prefix = f"{image.sha256[:12]}.{index}:"
            placed = {prefix + ",".join(str(n) for n in box): box for box in boxes}
            self._placed.update({key: _Placed(index, box) for key, box in placed.items()})
        whole = assess_quality(pixels) if len(boxes) > 1 else None
        tiles = []
        for tile_id, box in placed.items():
            seen = self.pixels(tile_id, max(mpp, WORKING_MPP))
            quality = assess_quality(seen, source_side_px=min(box[2:]))
            if whole is not None:
                quality = _inherited(quality, whole)
            tiles.append(
                TileSummary(
                    tile_id=tile_id,
                    image_index=index,
                    box=box,
                    mpp=mpp,
                    mpp_source=mpp_source,
                    quality=quality,
                )
            )
        with self._lock:
            self._summaries.extend(tiles)
        return AddedImage(index, whole or tiles[0].quality, tuple(tiles))

    def add_picture(self, pixels: RGB, mpp: float) -> int:
        """Register an image to look at, without tiles; returns its index."""
        shown = pixels.view()
        shown.setflags(write=False)
        with self._lock:
            self._images.append(_StoredImage(shown, mpp))
            return len(self._images) - 1

    @property
    def all_tiles(self) -> Sequence[TileSummary]:
        """All tiles in reading order, image by image, refused ones included."""
        with self._lock:
            return tuple(self._summaries)

    @property
    def tiles(self) -> Sequence[TileSummary]:
        """Accepted and flagged tiles in reading order, image by image."""
        return tuple(t for t in self.all_tiles if t.quality.verdict is not Verdict.refuse)

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """Return a tile at `mpp` µm per pixel with up to `halo_um` µm of true surroundings.

        Shape (h, w, 3) uint8, read-only. Only the crop is resampled, surroundings included;
        nothing is padded. Raises `KeyError` for an unknown tile.
        """
        key = (tile_id, checked_mpp(mpp), halo_um)
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
                return known
            placed = self._placed[tile_id]
            image = self._images[placed.image_index]
        x, y, width, height = placed.box
        left, top, right, bottom = _halo_px(image, placed.box, halo_um)
        crop = image.pixels[y - top : y + height + bottom, x - left : x + width + right]
        tile = np.ascontiguousarray(resample(crop, image.mpp, mpp))
        tile.setflags(write=False)
        return self._remember(key, tile)

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """Return the surroundings that `pixels` really adds, in µm: left, top, right, bottom."""
        with self._lock:
            placed = self._placed[tile_id]
            image = self._images[placed.image_index]
        left, top, right, bottom = _halo_px(image, placed.box, halo_um)
        return left * image.mpp, top * image.mpp, right * image.mpp, bottom * image.mpp

    def image(self, image_index: int, max_px: int) -> RGB:
        """Return a whole image reduced to at most `max_px` on its longer side, never enlarged."""
        with self._lock:
            pixels = self._images[image_index].pixels
        longest = max(pixels.shape[:2])
        if max_px < 1:
            raise ValueError(f"an image cannot be reduced to {max_px} pixels")
        return pixels if longest <= max_px else resample(pixels, 1.0, longest / max_px)

    def _remember(self, key: tuple[str, float, float], tile: RGB) -> RGB:
        """Keep a tile, or return the one that another thread made first."""
        with self._lock:
            first = self._cache.get(key)
            if first is not None:
                return first
            self._cache[key] = tile
            self._cached += tile.nbytes
            while self._cached > self._cache_bytes and len(self._cache) > 1:
                self._cached -= self._cache.popitem(last=False)[1].nbytes
        return tile


def _inherited(tile: QualityReport, whole: QualityReport) -> QualityReport:
    """Refuse a tile for what its whole image was refused for, little tissue excepted."""
    causes = tuple(
        check.model_copy(update={"message": f"the image as a whole: {check.message}"})
        for check in whole.checks
        if check.verdict is Verdict.refuse and check.code not in _OF_ONE_TILE_ONLY
    )
    if not causes or tile.verdict is Verdict.refuse:
        return tile
    return QualityReport(
        verdict=Verdict.refuse,
        checks=tile.checks + causes,
        tissue_share=tile.tissue_share,
        reason=causes[0].message,
    )


def _halo_px(image: _StoredImage, box: Box, halo_um: float) -> tuple[int, int, int, int]:
    if not math.isfinite(halo_um) or halo_um < 0:
        raise ValueError(f"a halo of {halo_um} µm is not a length")
    wanted = round(halo_um / image.mpp)
    x, y, width, height = box
    full_height, full_width = image.pixels.shape[:2]
    right, bottom = full_width - x - width, full_height - y - height
    return min(wanted, x), min(wanted, y), min(wanted, right), min(wanted, bottom)
