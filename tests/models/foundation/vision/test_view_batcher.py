"""Views of several cases share forward passes, and every case gets its own rows back."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from stores import core, store_of

from immunopath.domain.errors import EngineUnavailable
from immunopath.imaging.decode import decode_image
from immunopath.models.foundation.vision.view_batcher import ViewBatcher
from immunopath.models.foundation.vision.views import ViewPlan
from immunopath.models.protocols import RGB

PLAN = ViewPlan(0.5, 224, "tile")


def means(views: Sequence[RGB]) -> np.ndarray:
    return np.stack([v.mean(axis=(0, 1)) for v in views]).astype(np.float32)


def test_rows_come_back_in_order_with_their_tile(shared_images: Path) -> None:
    source = core(shared_images, 1024)
    batcher = ViewBatcher(means, 3)
    rows = list(batcher.rows(source, PLAN))
    assert [tile for tile, _ in rows] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    first = source.pixels(source.tiles[0].tile_id, 0.5)[32:256, 32:256]
    assert np.allclose(rows[0][1], first.mean(axis=(0, 1)), atol=1e-3)
    batcher.close()


def test_cases_in_threads_share_batches_and_keep_their_rows(shared_images: Path) -> None:
    rgb = decode_image(shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif").pixels
    sources = [store_of(rgb[y : y + 512, 300:812]) for y in (200, 350, 500, 650)]
    alone = [[r.tolist() for _, r in ViewBatcher(means, 8).rows(s, PLAN)] for s in sources]
    sizes: list[int] = []
    ready = threading.Barrier(len(sources))

    def encode(views: Sequence[RGB]) -> np.ndarray:
        sizes.append(len(views))
        time.sleep(0.05)
        return means(views)

    batcher = ViewBatcher(encode, 16)
    together: dict[int, list[list[float]]] = {}

    def run(case: int) -> None:
        ready.wait()
        together[case] = [r.tolist() for _, r in batcher.rows(sources[case], PLAN)]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(sources))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(len(sources))] == alone
    assert sum(sizes) == 16
    assert max(sizes) > 4  # more than one case's views in a pass


def test_out_of_memory_halves_the_batch_and_goes_on(shared_images: Path) -> None:
    sizes: list[int] = []

    def encode(views: Sequence[RGB]) -> np.ndarray:
        sizes.append(len(views))
        if len(views) > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return means(views)

    rows = list(ViewBatcher(encode, 16).rows(core(shared_images, 1024), PLAN))
    assert len(rows) == 16
    assert max(sizes[2:]) <= 8
    assert sizes.count(4) >= 3


def test_a_closed_engine_says_so(shared_images: Path) -> None:
    batcher = ViewBatcher(means, 2)
    batcher.close()
    with pytest.raises(EngineUnavailable, match="closed"):
        list(batcher.rows(core(shared_images, 512), PLAN))
