"""What the thumbnail alone decides."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from he_fields import he_field
from slide_files import CMU, GLASS, halved, tissue_on_glass, write_pyramid

from immunopath.domain.errors import ResolutionError
from immunopath.imaging.arrays import RGB
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.overlay import overlay_png
from immunopath.imaging.slides.plan import TilePlan, TileRules, plan_tiles_of

RULES = TileRules(size_px=256)


def planned(path: Path, rgb: RGB, rules: TileRules = RULES, mpp: float = 0.5) -> TilePlan:
    with open_slide(write_pyramid(path, rgb, mpp=mpp)) as slide:
        return plan_tiles_of(slide, rules)


def test_every_place_is_a_candidate_or_rejected(tmp_path: Path) -> None:
    plan = planned(tmp_path / "a.tif", tissue_on_glass())
    assert len(plan.places) == len(plan.candidates) + len(plan.rejected) == 6 * 8
    assert plan.counts() == {"glass": len(plan.rejected)}
    assert {(p.column, p.row) for p in plan.candidates}.isdisjoint(plan.rejected)
    for place in plan.candidates:
        assert place.tissue >= RULES.min_tissue / 2


def test_pen_and_folds_are_rejected_by_name(tmp_path: Path) -> None:
    rgb = tissue_on_glass()
    cv2.line(rgb, (600, 400), (1500, 400), (20, 120, 60), 120)
    fold = np.s_[900:1240, 768:960]
    rgb[fold] = np.clip(244 * (rgb[fold].astype(float) / 244) ** 2.4, 0, 255)
    counts = planned(tmp_path / "a.tif", rgb).counts()
    assert counts["pen"] >= 4
    assert counts["fold"] >= 1


def keys(plan: TilePlan) -> list[tuple[int, int]]:
    return [(place.column, place.row) for place in plan.candidates]


def test_a_slide_and_its_halved_copy_have_the_same_candidates(tmp_path: Path) -> None:
    fine = tissue_on_glass(2400, 2600)
    one = planned(tmp_path / "a.tif", fine, mpp=0.25)
    two = planned(tmp_path / "b.tif", halved(fine), mpp=0.5)
    assert keys(one) == keys(two)
    for a, b in zip(one.places, two.places, strict=True):
        assert np.allclose(np.array(a.box) * 0.25, np.array(b.box) * 0.5, atol=0.5)


def test_detail_is_not_invented(tmp_path: Path) -> None:
    with pytest.raises(ResolutionError, match=r"finest level has 1 µm/px.*ask for coarser tiles"):
        planned(tmp_path / "a.tif", tissue_on_glass(), mpp=1.0)
    assert planned(tmp_path / "b.tif", tissue_on_glass(), TileRules(target_mpp=1.0), mpp=1.0).places


def test_no_scale_no_tiles(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif", tissue_on_glass(600, 600), mpp=None)
    with open_slide(path) as slide, pytest.raises(ResolutionError, match="states no resolution"):
        plan_tiles_of(slide, RULES)
    with open_slide(path, 0.5) as slide:
        assert plan_tiles_of(slide, RULES).places


def test_an_empty_slide_has_no_candidate(tmp_path: Path) -> None:
    rgb = np.full((900, 900, 3), GLASS, np.uint8)
    rgb[400:440, 400:440] = he_field(40, 40)
    plan = planned(tmp_path / "a.tif", rgb)
    assert plan.candidates == ()
    assert plan.counts() == {"glass": 9}


def test_the_overlay_lines_up(tmp_path: Path) -> None:
    del tmp_path
    with open_slide(CMU) as slide:
        plan, bounds = plan_tiles_of(slide, TileRules()), slide.facts.bounds
    states = dict(plan.rejected) | {(p.column, p.row): "selected" for p in plan.candidates}
    data = np.frombuffer(overlay_png(plan, bounds, states), np.uint8)
    picture = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    green = np.all(picture == (0, 110, 0), axis=2)
    x, y, width, height = plan.candidates[0].box
    scale = picture.shape[1] / bounds[2]
    top, bottom = round(y * scale), round((y + height) * scale)
    left, right = round(x * scale), round((x + width) * scale)
    assert green[top:bottom, left:right].sum() > 2 * (width + height) * scale
    glass = next(p for p in plan.places if plan.rejected.get((p.column, p.row)) == "glass")
    middle = (round((glass.box[1] + 256) * scale), round((glass.box[0] + 256) * scale))
    assert not green[middle[0] - 20 : middle[0] + 20, middle[1] - 20 : middle[1] + 20].any()
