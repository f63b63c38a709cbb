"""What will be read of a slide: its mask, its grid, and what the thumbnail already rejects."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import ResolutionError
from immunopath.imaging.slides.grid import GridTile, tile_places
from immunopath.imaging.slides.mask import MASK_MPP, TissueMask, tissue_mask
from immunopath.imaging.slides.slide import Slide

COARSEST = 1.25
"""A slide may be this much coarser than its tiles; beyond, detail would be invented."""


class TileRules(Frozen):
    """Which tiles are wanted.

    target_mpp, size_px: µm per pixel and side of a tile; min_tissue: least share of tissue;
    max_pen, max_fold: largest share of ink and of folded tissue on the thumbnail.
    """

    target_mpp: float = Field(default=0.5, ge=0.05, le=20)
    size_px: int = Field(default=512, ge=64, le=4096)
    min_tissue: float = Field(default=0.5, gt=0, le=1)
    max_pen: float = Field(default=0.1, ge=0, le=1)
    max_fold: float = Field(default=0.2, ge=0, le=1)

    @property
    def side_um(self) -> float:
        """Side of a tile in µm."""
        return self.target_mpp * self.size_px


@dataclass(frozen=True)
class TilePlan:
    """places: the whole grid; candidates: what is worth reading; rejected: reason by place."""

    rules: TileRules
    mask: TissueMask
    places: tuple[GridTile, ...]
    candidates: tuple[GridTile, ...]
    rejected: Mapping[tuple[int, int], str]

    def counts(self) -> Counter[str]:
        """Return how many places the thumbnail rejected, by reason."""
        return Counter(self.rejected.values())


def plan_tiles_of(slide: Slide, rules: TileRules) -> TilePlan:
    """Look at the slide's thumbnail and lay out its tiles; raises as `look_at` does."""
    return lay_out(slide, rules, look_at(slide, rules.target_mpp))


def look_at(slide: Slide, target_mpp: float) -> TissueMask:
    """Return the mask of the slide's thumbnail; raises as `refuse_scale` does."""
    refuse_scale(slide, target_mpp)
    thumbnail = slide.thumbnail(max(MASK_MPP, slide.mpp))
    return tissue_mask(thumbnail, slide.facts.bounds[2] * slide.mpp / thumbnail.shape[1])


def refuse_scale(slide: Slide, target_mpp: float) -> None:
    """Raise `ResolutionError` for a scale that is not known or too coarse.

    Too coarse: tiles at `target_mpp` would hold invented detail.
    """
    slide.require_known_scale()
    if slide.mpp > COARSEST * target_mpp:
        raise ResolutionError(
            f"{slide.path}: its finest level has {slide.mpp:.4g} µm/px, tiles at "
            f"{target_mpp:g} µm/px would hold invented detail; give a finer scan or ask for "
            "coarser tiles"
        )


def lay_out(slide: Slide, rules: TileRules, mask: TissueMask) -> TilePlan:
    """Lay out the tiles of a slide whose `mask` is known."""
    places = tile_places(slide.facts.bounds, slide.mpp, rules.side_um, mask)
    reasons = {(p.column, p.row): _reason(p, rules) for p in places}
    return TilePlan(
        rules=rules,
        mask=mask,
        places=tuple(places),
        candidates=tuple(p for p in places if not reasons[p.column, p.row]),
        rejected={key: reason for key, reason in reasons.items() if reason},
    )


def _reason(place: GridTile, rules: TileRules) -> str:
    """Return why a place is not worth reading; glass only when the pixels could not differ."""
    if place.pen > rules.max_pen:
        return "pen"
    if place.fold > rules.max_fold:
        return "fold"
    return "glass" if place.tissue < rules.min_tissue / 2 else ""
