"""The verdict on pixels: can an H&E engine use them?"""

from collections.abc import Iterable
from enum import StrEnum

from immunopath.domain.base import Frozen
from immunopath.domain.sampling import SamplingLog


class Verdict(StrEnum):
    """``flag`` is usable with a warning; ``refuse`` is not used by any engine."""

    accept = "accept"
    flag = "flag"
    refuse = "refuse"


class QualityCheck(Frozen):
    """One check with the number it measured and the limit it crossed or kept."""

    code: str
    """Stable key such as ``tissue_share``, ``ink``, ``brown_stain``, ``blur``."""
    verdict: Verdict
    measured: float
    limit: float
    """The limit crossed, or the nearest one kept."""
    message: str
    """One sentence for the reader."""


class QualityReport(Frozen):
    """All checks on one tile or image; the verdict is the worst of them."""

    verdict: Verdict
    checks: tuple[QualityCheck, ...]
    tissue_share: float
    reason: str = ""
    """The first refusing (else first flagging) check's message."""


class TileSummary(Frozen):
    """One tile as it entered the graph: where it lies and what quality control said."""

    tile_id: str
    """``<image digest prefix>:x,y,w,h`` in level-0 pixels."""
    image_index: int
    box: tuple[int, int, int, int]
    """x, y, width, height in level-0 pixels of its image."""
    mpp: float
    """Of its image, µm per pixel."""
    mpp_source: str | None = None
    """A `MppSource`; None where nobody said how the resolution is known."""
    quality: QualityReport


class ImageSummary(Frozen):
    """One input image after decoding."""

    name: str
    """File name only, without folders."""
    sha256: str
    pixels_sha256: str
    """Of the decoded RGB pixels: finds exact duplicates in other containers."""
    width: int
    height: int
    format: str
    mpp: float
    mpp_source: str
    notes: tuple[str, ...] = ()
    """Conversions applied, e.g. ``alpha composited on white``."""
    region: tuple[int, int, int, int] | None = None
    """x, y, width, height in level-0 pixels of the slide of which the image is a part."""
    picked: bool = False
    """A person picked the region: it stands for itself, not for its slide."""
    quality: QualityReport

    @property
    def origin(self) -> tuple[int, int]:
        """Where the image's corner lies on its slide, level-0 pixels; (0, 0) for a whole image."""
        return (0, 0) if self.region is None else (self.region[0], self.region[1])


class IntakeResult(Frozen):
    """What intake hands to the engines."""

    usable: bool
    """False ends the graph early with ``status: refused``."""
    reason: str = ""
    images: tuple[ImageSummary, ...]
    tiles: tuple[TileSummary, ...]
    """All tiles, refused ones included: the count of what was left out is part of the result."""
    sampling: SamplingLog | None = None
    """What was read of the slides; None for a case without a slide that holds tissue."""

    @property
    def accepted(self) -> tuple[TileSummary, ...]:
        """The tiles that engines may see."""
        return tuple(t for t in self.tiles if t.quality.verdict is not Verdict.refuse)


def mpp_sources(tiles: Iterable[TileSummary]) -> str | None:
    """Return how the resolution of the tiles is known, every way once; None when nobody said."""
    known = sorted({tile.mpp_source for tile in tiles if tile.mpp_source is not None})
    return ", ".join(known) or None
