"""Small slides for tests: drawn H&E on glass, written as pyramids."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from he_fields import he_field

RGB = npt.NDArray[np.uint8]
SLIDES = Path(__file__).parents[2] / "data" / "slides"
CMU = SLIDES / "CMU-1-Small-Region.svs"
BROKEN = SLIDES / "broken.svs"
OVERVIEW = SLIDES / "overview.dcm"
GLASS = 243


def tissue_on_glass(height: int = 1600, width: int = 2080, *, seed: int = 0) -> RGB:
    """Return a drawn slide at 0.5 µm/px: one block of H&E with glass all around."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), GLASS, np.int16) + rng.integers(-2, 3, (height, width, 1))
    top, left = height // 5, width // 6
    block = he_field(height - 2 * top, width - 2 * left, seed=seed)
    picture[top : height - top, left : width - left] = block
    return np.clip(picture, 0, 255).astype(np.uint8)


def halved(rgb: RGB) -> RGB:
    size = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_pyramid(
    path: Path, rgb: RGB, *, mpp: float | None = 0.5, levels: int = 3, **options: object
) -> Path:
    """Write an OME-TIFF with SubIFDs: level 0 and copies, each half of the one before."""
    settings: dict[str, object] = {"tile": (256, 256), "photometric": "rgb"} | options
    metadata: dict[str, object] = {"axes": "YXS"}
    if mpp is not None:
        metadata |= {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(rgb, subifds=levels - 1, metadata=metadata, **settings)
        for _ in range(levels - 1):
            rgb = halved(rgb)
            writer.write(rgb, subfiletype=1, metadata=None, **settings)
    return path


def checkered_slide(path: Path, hot: frozenset[tuple[int, int]] = frozenset()) -> Path:
    """Write a TIFF of 85 megapixels with 5 x 5 regions of 512 µm, dense with nuclei where hot.

    hot: (column, row) in the block of tissue. No two regions hold the same pixels.
    """
    side, cells = 1024, 5
    picture = np.full((9 * side, 9 * side, 3), GLASS, np.uint8)
    cold, dense = he_field(side, side, seed=1), he_field(side, side, seed=2, nuclei=0.009)
    for row in range(cells):
        for column in range(cells):
            block = dense if (column, row) in hot else cold
            top, left = side * (row + 1), side * (column + 1)
            moved = np.roll(block, (37 * row, 61 * column), (0, 1))
            picture[top : top + side, left : left + side] = moved
    options: dict[str, object] = {
        "tile": (side, side), "photometric": "rgb", "compression": "zlib",
        "compressionargs": {"level": 1},
    }  # fmt: skip
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(picture, subifds=1, metadata=metadata, **options)
        size = (picture.shape[1] // 8, picture.shape[0] // 8)
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        writer.write(small, subfiletype=1, metadata=None, **options)
    return path
