"""Synthetic H&E-like fields with known nuclei, and a tile source that is cut as a test wants."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.domain.quality import QualityReport, TileSummary, Verdict
from immunopath.models.protocols import RGB

STROMA = (232, 190, 214)
DARK = (72, 48, 122)
PALE = (150, 118, 176)
GLASS = (243, 242, 244)


def read_rgb(path: Path) -> RGB:
    """Read an image file as RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None, path
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def grid_points(width_um: float, height_um: float, pitch: float, seed: int = 0) -> npt.NDArray:
    """Jittered grid of points in µm, shape (n, 2), at least 8 µm from every border."""
    rng = np.random.default_rng(seed)
    xs = np.arange(8 + pitch / 4, width_um - 8, pitch)
    ys = np.arange(8 + pitch / 4, height_um - 8, pitch)
    points = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    moved = points + rng.uniform(-pitch / 8, pitch / 8, points.shape)
    return np.clip(moved, 8, [width_um - 8, height_um - 8])


def draw(  # noqa: PLR0917
    width_um: float,
    height_um: float,
    mpp: float,
    small: npt.NDArray,
    large: npt.NDArray | None = None,
    radius_um: float = 2.7,
) -> RGB:
    """Paint small dark nuclei and large pale ones (radius 3.6 µm) on stroma."""
    fine = 0.125
    size = (round(height_um / fine), round(width_um / fine), 3)
    image = np.full(size, STROMA, np.uint8)
    for points, radius, colour in ((large, 3.6, PALE), (small, radius_um, DARK)):
        for x, y in points if points is not None else ():
            # Shifted by four bits: the centre keeps a sixteenth of a fine pixel.
            centre = (round((x / fine - 0.5) * 16), round((y / fine - 0.5) * 16))
            cv2.circle(image, centre, round(radius / fine * 16), colour, -1, cv2.LINE_AA, 4)
    image = cv2.GaussianBlur(image, (0, 0), 0.35 / fine)
    target = (round(width_um / mpp), round(height_um / mpp))
    return np.asarray(cv2.resize(image, target, interpolation=cv2.INTER_AREA), np.uint8)


class CutSource:
    """A `TileSource` over given images; each is cut into columns x rows tiles."""

    def __init__(
        self,
        images: Sequence[RGB],
        mpp: float = 0.5,
        cut: tuple[int, int] = (1, 1),
        verdict: Verdict = Verdict.accept,
    ) -> None:
        self._images, self._mpp = list(images), mpp
        report = QualityReport(verdict=verdict, checks=(), tissue_share=1.0)
        self._tiles = []
        for index, image in enumerate(self._images):
            height, width = image.shape[:2]
            xs = np.linspace(0, width, cut[0] + 1).astype(int) // 4 * 4
            ys = np.linspace(0, height, cut[1] + 1).astype(int) // 4 * 4
            xs[-1], ys[-1] = width, height
            for y0, y1 in pairwise(ys):
                for x0, x1 in pairwise(xs):
                    box = (int(x0), int(y0), int(x1 - x0), int(y1 - y0))
                    name = f"{index}:" + ",".join(map(str, box))
                    self._tiles.append(
                        TileSummary(
                            tile_id=name, image_index=index, box=box, mpp=mpp, quality=report
                        )
                    )

    @property
    def tiles(self) -> Sequence[TileSummary]:
        return self._tiles

    def _find(self, tile_id: str) -> TileSummary:
        return next(t for t in self._tiles if t.tile_id == tile_id)

    def _halo_px(self, tile: TileSummary, halo_um: float) -> tuple[int, int, int, int]:
        height, width = self._images[tile.image_index].shape[:2]
        x, y, w, h = tile.box
        want = round(halo_um / self._mpp)
        return min(want, x), min(want, y), min(want, width - x - w), min(want, height - y - h)

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        tile = self._find(tile_id)
        x, y, w, h = tile.box
        left, top, right, bottom = self._halo_px(tile, halo_um)
        crop = self._images[tile.image_index][y - top : y + h + bottom, x - left : x + w + right]
        ratio = self._mpp / mpp
        if ratio == 1:
            return crop
        size = (round(crop.shape[1] * ratio), round(crop.shape[0] * ratio))
        how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(crop, size, interpolation=how), np.uint8)

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        left, top, right, bottom = self._halo_px(self._find(tile_id), halo_um)
        return left * self._mpp, top * self._mpp, right * self._mpp, bottom * self._mpp

    def image(self, image_index: int, max_px: int) -> RGB:
        raise AssertionError("the predictor reads tiles only")
