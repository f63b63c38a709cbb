"""Reading in this process and in others gives the same, in the same order."""

import hashlib
import itertools
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from slide_files import CMU, tissue_on_glass, write_pyramid

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.arrays import RGB, FloatMap
from immunopath.imaging.decode import decode_image
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.plan import TilePlan, TileRules, plan_tiles_of
from immunopath.imaging.slides.reading import Batch, Job, Readers, SeenTile, batches, run_job

RULES = TileRules(size_px=256)


def mean_colour(rgb: RGB) -> FloatMap:
    return rgb.reshape(-1, 3).mean(axis=0).astype(np.float32)


def plan_for(path: Path, rules: TileRules = RULES) -> TilePlan:
    with open_slide(path) as slide:
        return plan_tiles_of(slide, rules)


def jobs_for(path: Path, size: int = 4) -> list[Job]:
    plan = plan_for(path)
    return [
        Job(path, None, RULES, plan.mask, part, describe=mean_colour)
        for part in batches(plan.candidates, size)
    ]


def flat(found: list[Batch]) -> list[SeenTile]:
    return [tile for batch in found for tile in batch.tiles]


def test_processes_change_nothing() -> None:
    jobs = jobs_for(CMU)
    with Readers(0) as here, Readers(2) as there:
        one, two = flat(list(here.run(jobs))), flat(list(there.run(jobs)))
    assert [replace(tile, vector=None) for tile in one] == [
        replace(tile, vector=None) for tile in two
    ]
    assert all(
        np.array_equal(a.vector, b.vector) for a, b in zip(one, two, strict=True) if not a.reason
    )
    assert len(one) == len(plan_for(CMU).candidates)


def test_damage_is_named_from_another_process(tmp_path: Path) -> None:
    jobs = jobs_for(CMU)
    data = bytearray(CMU.read_bytes())
    data[400_000:700_000] = bytes(300_000)
    (tmp_path / "bad.svs").write_bytes(data)
    bad = [replace(job, path=tmp_path / "bad.svs") for job in jobs]
    with Readers(1) as readers, pytest.raises(ImageReadError, match=r"bad.svs: the slide is trunc"):
        list(readers.run(bad))


def die(rgb: RGB) -> FloatMap:
    del rgb
    os._exit(1)


def test_a_process_that_dies_is_named_and_replaced() -> None:
    jobs = jobs_for(CMU)[:1]
    with Readers(1) as readers:
        with pytest.raises(ImageReadError, match=r"svs: a reading process died"):
            list(readers.run([replace(jobs[0], describe=die)]))
        assert flat(list(readers.run(jobs)))


def test_a_blurred_place_is_rejected_as_blur(tmp_path: Path) -> None:
    rgb = tissue_on_glass()
    rgb[:, :1040] = cv2.GaussianBlur(rgb[:, :1040], (0, 0), 12)
    path = write_pyramid(tmp_path / "a.tif", rgb)
    seen = flat([run_job(job) for job in jobs_for(path)])
    left = [tile for tile in seen if 512 <= tile.place.box[0] < 768]
    right = [tile for tile in seen if 1100 <= tile.place.box[0] < 1500]
    assert left
    assert {tile.reason for tile in left} == {"blur"}
    assert {tile.reason for tile in right} == {""}
    assert max(tile.blur for tile in left) < min(tile.blur for tile in right)


def test_glass_is_rejected_by_the_pixels(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif", tissue_on_glass())
    plan = plan_for(path)
    job = Job(path, None, RULES.model_copy(update={"min_tissue": 0.99}), plan.mask, plan.candidates)
    reasons = {tile.place: tile.reason for tile in run_job(job).tiles}
    full = [place for place in reasons if place.tissue > 0.999]
    partial = [place for place in reasons if place.tissue < 0.9]
    assert partial
    assert {reasons[place] for place in partial} == {"glass"}
    assert all(reasons[place] == "" for place in full)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_tiles_are_written_as_they_are(tmp_path: Path, suffix: str) -> None:
    plan = plan_for(CMU)
    place = plan.candidates[3]
    path = tmp_path / "deep" / f"a.{suffix}"
    job = Job(CMU, None, RULES, plan.mask, (place,), check=False, files=(path,))
    (tile,) = run_job(job).tiles
    assert tile.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    with open_slide(CMU) as slide:
        expected = slide.read_region(place.box, (256, 256))
    written = decode_image(path)
    assert written.format == {"png": "PNG", "jpg": "JPEG"}[suffix]
    difference = np.abs(written.pixels.astype(int) - expected)
    assert difference.max() == 0 if suffix == "png" else difference.mean() < 4


def test_the_clock_says_what_time_went_to() -> None:
    plan = plan_for(CMU)
    job = Job(CMU, None, RULES, plan.mask, plan.candidates[:3], clock=_Ticks())
    batch = run_job(job)
    assert (batch.read_s, batch.work_s) == (3.0, 4.0)
    assert run_job(replace(job, clock=None)).read_s == 0


class _Ticks:
    """A clock that moves by one second whenever it is looked at."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self) -> float:
        return float(next(self._count))
