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
