"""Runs inside a peer's own environment: tiles one slide and prints what it did as JSON.

``python tiling_peers.py PEER SLIDE FOLDER SIZE MPP MIN_TISSUE``; started by ``tiling.py``, imports
nothing of ImmunoPath. The peer lays its grid from the slide's corner, keeps tiles by its own tissue
rule and writes PNG files. Importing is not timed; opening, masking, reading and writing are.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

Boxes = list[list[int]]
Found = tuple[float, float, Boxes, Boxes]


def histolab(slide_path: str, folder: str, size: int, mpp: float, min_tissue: float) -> Found:
    import numpy as np
    from histolab.masks import BinaryMask
    from histolab.slide import Slide
    from histolab.tiler import GridTiler

    class Everything(BinaryMask):
        def _mask(self, slide: object) -> Any:  # noqa: ANN401 - an array of the peer
            del slide
            return np.ones((200, 200), dtype=bool)

    def tiler(check: bool) -> GridTiler:
        return GridTiler((size, size), mpp=mpp, check_tissue=check, tissue_percent=100 * min_tissue)

    start, used = perf_counter(), process_time()
    slide = Slide(slide_path, folder, use_largeimage=True)
    tiler(True).extract(slide, extraction_mask=Everything(), log_level="ERROR")
    took, cpu = perf_counter() - start, process_time() - used
    grid = tiler(False)
    grid.tile_size = grid._tile_size(slide)
    places = [
        [int(n) for n in place[:4]]
        for place in grid._grid_coordinates_generator(slide, Everything())
    ]
    kept = [
        [int(n) for n in path.stem.rsplit("_", 1)[1].split("-")]
        for path in Path(folder).glob("*.png")
    ]
    return took, cpu, places, kept


def tiatoolbox(slide_path: str, folder: str, size: int, mpp: float, min_tissue: float) -> Found:
    from PIL import Image
    from tiatoolbox.tools.patchextraction import get_patch_extractor
    from tiatoolbox.wsicore.wsireader import WSIReader

    Path(folder).mkdir(parents=True, exist_ok=True)
    start, used = perf_counter(), process_time()
    reader = WSIReader.open(slide_path)
    mask = reader.tissue_mask(method="otsu", resolution=8, units="mpp")
    options = {
        "input_img": reader, "patch_size": (size, size), "resolution": mpp, "units": "mpp",
        "within_bound": True,
    }  # fmt: skip
    found = get_patch_extractor(
        "slidingwindow", input_mask=mask, min_mask_ratio=min_tissue, **options
    )
    for number, patch in enumerate(found):
        Image.fromarray(patch).save(Path(folder) / f"{number}.png")
    took, cpu = perf_counter() - start, process_time() - used
    every = get_patch_extractor("slidingwindow", **options)

    def boxes(extractor: Any) -> Boxes:  # noqa: ANN401 - a class of the peer
        scale = mpp / float(reader.info.mpp[0])
        return [[int(n) for n in row * scale] for row in extractor.coordinate_list]

    return took, cpu, boxes(every), boxes(found)


if __name__ == "__main__":
    peer, slide, out, side, resolution, share = sys.argv[1:]
    run = {"histolab": histolab, "tiatoolbox": tiatoolbox}[peer]
    wall, cpu, grid, kept = run(slide, out, int(side), float(resolution), float(share))
    sys.stdout.write(
        json.dumps(
            {"version": version(peer), "wall_s": wall, "cpu_s": cpu, "grid": grid, "kept": kept}
        )
    )
