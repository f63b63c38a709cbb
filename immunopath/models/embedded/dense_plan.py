"""A slide before its dense pass: its tiles on the thumbnail, its scale, its digest."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immunopath.domain.errors import HeatTooLarge, ImageReadError
from immunopath.domain.heat import TILE_UM
from immunopath.domain.units import Resolution
from immunopath.imaging.decode import printable
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.plan import TilePlan, TileRules, plan_tiles_of
from immunopath.imaging.tiles import Box
from immunopath.models.embedded.dense_block import TILE_PX
from immunopath.models.embedded.density import WORK_MPP

RULES: Final = TileRules(target_mpp=WORK_MPP, size_px=TILE_PX, min_tissue=0.25)
MOST_PLACES: Final = 1_000_000
"""Places of a grid; a large slide has 50,000, and a header may lie about its size."""


@dataclass(frozen=True)
class DensePlan:
    """A slide and its tiles, before any is read.

    sha256: of the file; bounds: the scanned part in level-0 pixels; plan: with the thumbnail.
    """

    path: Path
    stated_mpp: float | None
    sha256: str
    bounds: Box
    resolution: Resolution
    plan: TilePlan

    @property
    def name(self) -> str:
        """File name, as any output can hold it."""
        return printable(self.path.name)


def plan_dense(path: Path, stated_mpp: float | None) -> DensePlan:
    """Lay out the tiles of a slide on its thumbnail.

    Raises `ImageReadError`, `ResolutionError` for an unknown or too coarse scale, `HeatTooLarge`.
    """
    with open_slide(path, stated_mpp) as slide:
        slide.require_known_scale()
        _, _, width, height = slide.facts.bounds
        if width * height * slide.mpp**2 > MOST_PLACES * TILE_UM**2:
            raise HeatTooLarge(
                f"{path}: {width} x {height} pixels make more than {MOST_PLACES:,} places of "
                f"{TILE_UM:g} µm; no slide is that large, check the file and its resolution"
            )
        plan = plan_tiles_of(slide, RULES)
        return DensePlan(
            path=path,
            stated_mpp=stated_mpp,
            sha256=_digest(path),
            bounds=slide.facts.bounds,
            resolution=slide.resolution,
            plan=plan,
        )


def _digest(path: Path) -> str:
    """Return the SHA-256 of the file; a DICOM folder is known by its file names and bytes."""
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    whole = hashlib.sha256()
    try:
        for file in files:
            if file != path:
                whole.update(file.name.encode("utf-8", "surrogateescape"))
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    whole.update(block)
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    return whole.hexdigest()
