"""The dense pass over whole slides: speed, memory, and whether the heat lies where it was drawn.

``python benchmarks/heat.py [SLIDE...] --json -`` draws slides of tissue with glass around them and
a hot place of 1 mm² (`training.synthetic`; drawings, no tissue), writes them as tiled TIFF, and
counts each in a process of its own. It prints, for them and for the slides given, `tiles`,
`cpu_s`, `tiles_per_cpu_s`, `read_share` (of the processor time, the first look apart), `peak_mb`
and, of drawn ones, `densest_in_hot`, `hot_over_cold` (mean densities) and `two_processes_equal`.
"""

import argparse
import multiprocessing
import resource
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import process_time
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from benchmark_json import write_figures

from immunopath.imaging.slides.reading import Readers
from immunopath.models.embedded.dense import Progress, run_dense
from immunopath.models.embedded.dense_plan import plan_dense
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.training.synthetic.render import draw
from immunopath.training.synthetic.scene import scene_of

SIDE, MPP, GLASS, SHRUNK = 1024, 0.5, 243, 8
SIDES: Final = (7, 13, 25)
"""Fields of 512 µm a side, a border of glass included."""
COLD_PER_MM2, HOT_PER_MM2 = 300.0, 6000.0

RGB = npt.NDArray[np.uint8]


def hot_fields(n: int) -> frozenset[tuple[int, int]]:
    """Return column and row of the four hot fields, off the middle."""
    return frozenset((n // 2 + i, n // 3 + j) for i in (0, 1) for j in (0, 1))


def fields(n: int) -> Iterator[RGB]:
    """Yield the fields of a slide row by row; the cold ones are four, moved around."""
    glass = np.full((SIDE, SIDE, 3), GLASS, np.uint8)
    cold = [
        draw(scene_of("excluded", COLD_PER_MM2, size_px=SIDE, mpp=MPP), seed).rgb
        for seed in range(4)
    ]
    hot = draw(scene_of("inflamed", HOT_PER_MM2, size_px=SIDE, mpp=MPP), 9).rgb
    for row in range(n):
        for column in range(n):
            if {row, column} & {0, n - 1}:
                yield glass
                continue
            own = hot if (column, row) in hot_fields(n) else cold[(row + 2 * column) % 4]
            moved = np.roll(own, (37 * row % SIDE, 61 * column % SIDE), (0, 1))
            yield np.ascontiguousarray(moved)


def write_slide(path: Path, n: int) -> Path:
    """Write level 0 and a small level field by field, so that no slide lies in memory."""
    small = SIDE // SHRUNK
    options = {
        "photometric": "rgb",
        "compression": "zlib",
        "compressionargs": {"level": 1},
        "dtype": np.uint8,
    }
    scale = {"axes": "YXS", "PhysicalSizeX": MPP, "PhysicalSizeY": MPP}
    reduced = (cv2.resize(f, (small, small), interpolation=cv2.INTER_AREA) for f in fields(n))
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as writer:
        writer.write(fields(n), shape=(n * SIDE, n * SIDE, 3), tile=(SIDE, SIDE), subifds=1,
                     metadata=scale, **options)  # fmt: skip
        writer.write(reduced, shape=(n * small, n * small, 3), tile=(small, small), subfiletype=1,
                     metadata=None, **options)  # fmt: skip
    return path


def counted(path: Path, n: int) -> dict[str, object]:
    """Count a slide here; n: fields a side of a drawn one, 0 for another slide."""
    cv2.setNumThreads(1)
    seen: list[Progress] = []
    plan = plan_dense(path, None)
    start = process_time()
    found = run_dense(plan, None, seen.append, process_time)
    spent = process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told: dict[str, object] = {
        "slide": path.name,
        "tiles": len(found.tiles),
        "measured": found.summary.measured,
        "tissue_mm2": round(found.summary.tissue_mm2, 2),
        "cpu_s": round(spent, 2),
        "tiles_per_cpu_s": round(len(found.tiles) / spent, 1),
        "read_share": round(seen[-1].read_s / (seen[-1].read_s + seen[-1].work_s), 3),
        "peak_mb": round(peak),
        "corrected_share": found.summary.corrected_share,
        "lymphocytes_per_mm2": found.summary.lymphocytes_per_mm2,
    }
    return told | (_place(found, n) if n else {})


def _place(found: DenseSlide, n: int) -> dict[str, object]:
    """Return whether the densest tile is hot, and how tiles that are all hot compare to cold."""
    x, y, width, height = found.summary.densest or (0, 0, 0, 0)
    corners = {(a // SIDE, b // SIDE) for a in (x, x + width - 1) for b in (y, y + height - 1)}
    sides: dict[bool, list[float]] = {True: [], False: []}
    for tile in found.tiles:
        left, top, w, h = tile.place.box
        own = {(a // SIDE, b // SIDE) for a in (left, left + w - 1) for b in (top, top + h - 1)}
        hot = own & hot_fields(n)
        if tile.per_mm2 is not None and (not hot or hot == own):
            sides[bool(hot)].append(tile.per_mm2)
    return {
        "densest_in_hot": corners <= hot_fields(n),
        "hot_over_cold": round(float(np.mean(sides[True]) / np.mean(sides[False])), 2),
    }


def two_equal(path: Path) -> bool:
    """Return whether two processes give the bytes of none."""
    plan = plan_dense(path, None)
    with Readers(2) as readers:
        return run_dense(plan, readers).summary == run_dense(plan).summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slides", nargs="*", type=Path)
    parser.add_argument("--json", default="-")
    asked = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for n in SIDES:
            path = write_slide(Path(folder) / f"drawn-{n}.ome.tif", n)
            with ProcessPoolExecutor(1, spawn) as alone:
                rows.append(alone.submit(counted, path, n).result())
            if n == SIDES[0]:
                rows[-1]["two_processes_equal"] = two_equal(path)
            path.unlink()
    for path in asked.slides:
        with ProcessPoolExecutor(1, spawn) as alone:
            rows.append(alone.submit(counted, path, 0).result())
    write_figures({"slides": rows}, asked.json)


if __name__ == "__main__":
    main()
