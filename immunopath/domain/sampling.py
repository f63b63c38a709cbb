"""What was read of a slide, in which round and why, and what that says of the whole slide."""

from typing import Literal

from pydantic import Field

from immunopath.domain.base import Frozen

StopCode = Literal[
    "settled", "off", "rounds", "budget", "no_tissue_left", "no_gain", "no_estimate", "late_engine",
    "unreadable",
]  # fmt: skip

MIN_CELLS = 8
"""Fewer places give counts and no share: it could not be told from its half or its double."""


class SamplingBudget(Frozen):
    """What adaptive sampling may cost: further rounds, and regions in all of them together."""

    rounds: int = Field(default=2, ge=0, le=5)
    regions: int = Field(default=12, ge=0, le=200)


class Stratum(Frozen):
    """The part of a slide that lies nearer to one region than to any other that was read.

    Near in the plane of the slide and in how dark a place looks on the thumbnail.
    """

    image: int
    """Image index of that region."""
    places: int = Field(ge=1)
    """Places with tissue in this part, the read one included."""
    depth: float = Field(default=0.0, ge=0)
    """How dark the region looks, as a length in level-0 pixels; 0 = no darker than the middle."""


class SlideSampling(Frozen):
    """What was read of one slide."""

    name: str
    sha256: str
    candidates: int = Field(ge=1)
    """Places on the grid with enough tissue: the sampling frame."""
    side_um: float
    """Side of a region."""
    strata: tuple[Stratum, ...]
    """One for each region read, in the order in which they entered the case."""
    first: tuple[Stratum, ...]
    """Of the regions of the first round that were read for where they lie alone."""


class SamplingRound(Frozen):
    """One visit of intake to the slides of a case."""

    images: tuple[int, ...]
    """Indices of the regions that entered the case."""
    because: str
    width_before: float | None = None
    """Of the widest interval before the round; None for the first."""
    by_thumbnail: tuple[int, ...] = ()
    """Those of `images` that were read because they look dark on the thumbnail."""


class SamplingLog(Frozen):
    """All visits, kept in intake's result; None there for a case without slides."""

    slides: tuple[SlideSampling, ...]
    rounds: tuple[SamplingRound, ...]
    fault: str = ""
    """Why a further round could not be read; the case goes on with what it has."""


class SlideEstimate(Frozen):
    """The lymphocyte share of a slide from its regions, each weighted by the area it stands for.

    The interval says how far other regions of the same slide could move the value, nothing of the
    engine's own error.
    """

    name: str
    sha256: str
    quantity: str
    value: float = Field(ge=0, le=1)
    interval: tuple[float, float]
    coverage: float
    n_regions: int
    first_round_value: float | None = Field(default=None, ge=0, le=1)
    """The same from the evenly spread regions of the first round, which nothing seen has chosen."""
    variances: dict[int, float] = Field(default_factory=dict)
    """Variance within the stratum of each region, by its image index."""

    @property
    def width(self) -> float:
        """Width of the interval."""
        return self.interval[1] - self.interval[0]


class Wanted(Frozen):
    """How many more regions are wanted in the stratum of a region."""

    image: int
    count: int = Field(ge=1)


class SamplingDecision(Frozen):
    """Read more tissue (then `wanted` is not empty), or stop and why."""

    wanted: tuple[Wanted, ...] = ()
    reason: str
    stop: StopCode | None = None
    """None exactly when more is wanted."""
    width: float | None = None
    """Of the widest interval, when there is an estimate."""


class PhenotypeShares(Frozen):
    """Share of 1 mm² cells of a slide by the phenotype of the region read in each."""

    name: str
    sha256: str
    quantity: str
    n_cells: int
    """Cells with a phenotype; `n_unjudged` were read and have none."""
    n_unjudged: int
    seen_mm2: float
    """Area that is read of a cell."""
    shares: dict[str, float]
    inflamed_interval: tuple[float, float]
    """Of the share of inflamed cells, Wilson, at `coverage`."""
    coverage: float


class SamplingReport(Frozen):
    """How a case's slides were sampled, for the report."""

    rounds: tuple[SamplingRound, ...]
    slides: tuple[SlideSampling, ...]
    budget: SamplingBudget
    stop: StopCode
    stop_reason: str
    estimates: tuple[SlideEstimate, ...] = ()
    phenotypes: tuple[PhenotypeShares, ...] = ()
    notes: tuple[str, ...] = ()
    """What cannot be said and why."""
