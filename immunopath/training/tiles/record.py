"""What a tiling run says about itself: ``tiles.json`` beside ``tiles.parquet``."""

from typing import Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.imaging.slides.plan import TileRules
from immunopath.imaging.stain import StainFit, StainMethod

RECORD = "tiles.json"
Status = Literal["tiled", "no_tissue", "refused"]


class TilingSettings(Frozen):
    """What was asked for.

    max_tiles: kept per slide, None = all that are accepted; clusters: of the K-means selection;
    image_format: of tile files.
    """

    rules: TileRules = TileRules()
    max_tiles: int | None = Field(default=None, ge=1)
    clusters: int = Field(default=8, ge=1, le=512)
    normalise: StainMethod = StainMethod.none
    seed: int = Field(default=0, ge=0, lt=2**32)
    image_format: Literal["png", "jpg"] = "png"


class SlideRecord(Frozen):
    """One slide.

    status: ``tiled``; ``no_tissue`` = read, and no tile was usable (`thumbnail` shows why);
    ``refused`` = could not be read or has no known scale; reason: for the latter two.
    grid: tiles on the whole grid; rejected: how many of them and why; accepted = grid minus
    rejected; selected: written. thumbnail: picture with every tile marked, relative path.
    """

    slide_id: str
    patient_id: str
    source: str
    status: Status
    reason: str = ""
    reader: str = ""
    width: int = 0
    height: int = 0
    levels: int = 0
    mpp: float | None = None
    mpp_source: str = ""
    notes: tuple[str, ...] = ()
    properties: dict[str, str] = Field(default_factory=dict)
    glass: tuple[float, float, float] | None = None
    tissue_threshold: float | None = None
    grid: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)
    accepted: int = 0
    selected: int = 0
    stain: StainFit | None = None
    thumbnail: str | None = None


class TilingRecord(Frozen):
    """The run: versions, settings and one record per slide, in the order they were given."""

    version: Literal["1"] = "1"
    immunopath: str
    settings: TilingSettings
    embedder: str
    embedder_digest: str
    slides: tuple[SlideRecord, ...]
