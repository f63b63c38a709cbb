"""Reading and judging tiles, in this process or in several, a few batches ahead of the caller."""

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np

from immunopath.domain.errors import ImageReadError
from immunopath.domain.files import write_bytes
from immunopath.domain.quality import Verdict
from immunopath.domain.workers import end_with_parent
from immunopath.imaging.arrays import RGB, FloatMap
from immunopath.imaging.quality import assess_quality
from immunopath.imaging.slides.grid import GridTile
from immunopath.imaging.slides.mask import TissueMask, tissue_share
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.slides.plan import TileRules
from immunopath.imaging.slides.slide import Slide
from immunopath.imaging.stain import StainFit, apply_stain

BATCH = 8
AHEAD = 3
"""Batches in flight per process: one is read, the others wait for it."""
_CODES = {"ink": "pen", "red": "blood or red ink", "tissue_share": "pale"}
"""Codes of quality control by the name that users know; ``pale`` is tissue too faint to judge."""
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
"""Colour at full resolution: stain detail is what the tiles are for."""


class OnSlide(Protocol):
    """A job that says of which slide it is."""

    @property
    def path(self) -> Path:
        """The file of the slide."""


J = TypeVar("J", bound=OnSlide)
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """What a process needs to know for a batch of tiles of one slide; everything pickles.

    check: judge the tiles, else all are accepted as they come; describe: from pixels to a vector;
    files: where accepted tiles are written, one per place, None = nowhere; clock: measures what
    the time goes to, None = nothing is measured.
    """

    path: Path
    stated_mpp: float | None
    rules: TileRules
    mask: TissueMask
    places: tuple[GridTile, ...]
    stain: StainFit | None = None
    check: bool = True
    describe: Callable[[RGB], FloatMap] | None = None
    files: tuple[Path, ...] | None = None
    clock: Callable[[], float] | None = None


@dataclass(frozen=True)
class SeenTile:
    """One tile after reading; `reason` is why it was rejected, empty when it was accepted."""

    place: GridTile
    reason: str
    tissue: float
    blur: float
    pen: float
    vector: FloatMap | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Batch:
    """Tiles in the order of the job, and the seconds that reading and everything else took."""

    tiles: tuple[SeenTile, ...]
    read_s: float
    work_s: float


def run_job(job: Job) -> Batch:
    """Read, judge, normalise, describe and write the tiles of a job."""
    clock = job.clock or (lambda: 0.0)
    slide = opened_slide(job.path, job.stated_mpp)
    read_s, start = 0.0, clock()
    tiles = []
    for number, place in enumerate(job.places):
        before = clock()
        rgb = slide.read_region(place.box, (job.rules.size_px, job.rules.size_px))
        read_s += clock() - before
        tiles.append(_seen(job, number, place, rgb))
    return Batch(tuple(tiles), read_s, clock() - start - read_s)


def _seen(job: Job, number: int, place: GridTile, rgb: RGB) -> SeenTile:
    reason, tissue, pen = "", place.tissue, place.pen
    if job.check:
        reason, tissue, pen = judge_tile(job.rules, job.mask, place, rgb)
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    blur = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    if reason:
        return SeenTile(place, reason, tissue, blur, pen)
    if job.stain is not None:
        rgb = apply_stain(rgb, job.stain)
    vector = None if job.describe is None else job.describe(rgb)
    digest = "" if job.files is None else _written(job.files[number], rgb)
    return SeenTile(place, "", tissue, blur, pen, vector, digest)


def judge_tile(
    rules: TileRules, mask: TissueMask, place: GridTile, rgb: RGB
) -> tuple[str, float, float]:
    """Return the reason of a rejection, empty for none, and the shares of tissue and pen."""
    tissue = round(tissue_share(rgb, mask), 4)
    if tissue < rules.min_tissue:
        return "glass", tissue, place.pen
    report = assess_quality(rgb)
    ink = next((check.measured for check in report.checks if check.code == "ink"), 0.0)
    pen = round(max(place.pen, ink * report.tissue_share), 4)
    if report.verdict is Verdict.refuse:
        worst = next(check for check in report.checks if check.verdict is Verdict.refuse)
        return _CODES.get(worst.code, worst.code), tissue, pen
    return ("pen" if pen > rules.max_pen else ""), tissue, pen


def _written(path: Path, rgb: RGB) -> str:
    """Write a tile as what its name says, atomically; returns the SHA-256 of the file."""
    options = _JPEG if path.suffix == ".jpg" else []
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageReadError(f"{path}: the tile cannot be encoded")
    content = data.tobytes()
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=1)
def opened_slide(path: Path, stated_mpp: float | None) -> Slide:
    """Keep the slide of the last job open: a process reads one slide at a time."""
    return open_slide(path, stated_mpp)


class Readers:
    """Processes that read, or this process when `workers` is 0. Use it as a context manager."""

    def __init__(self, workers: int) -> None:
        """Start nothing yet; processes are spawned with the first job."""
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Readers":
        self._start()
        return self

    def _start(self) -> None:
        if self._workers:
            self._pool = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("spawn"), initializer=_one_thread
            )

    def __exit__(self, *_: object) -> None:
        opened_slide.cache_clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, jobs: Sequence[Job]) -> Iterator[Batch]:
        """Yield the batches in the order of the jobs; see `each`."""
        return self.each(run_job, jobs)

    def each(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Yield what `work` makes of each job, in their order, whatever process is done first.

        A few jobs per process are ahead of the caller. Raises `ImageReadError` for a damaged slide,
        and when a process dies; the next call starts new ones.
        """
        if self._pool is None:
            yield from map(work, jobs)
            return
        waiting: deque[Future[R]] = deque()
        try:
            for job in jobs:
                waiting.append(self._pool.submit(work, job))
                if len(waiting) >= AHEAD * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            self._pool.shutdown(wait=False)
            self._start()
            raise ImageReadError(
                f"{jobs[0].path}: a reading process died (out of memory?); use fewer workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def batches(places: Sequence[GridTile], size: int = BATCH) -> list[tuple[GridTile, ...]]:
    """Cut places into groups of neighbours for one job each."""
    return [tuple(places[start : start + size]) for start in range(0, len(places), size)]


def _one_thread() -> None:
    """Keep OpenCV from starting a thread per core in every process, which ends with its parent."""
    end_with_parent()
    cv2.setNumThreads(1)
