"""Views of many cases in one forward pass of a vision engine."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from immunopath.models.foundation.batcher import Batcher
from immunopath.models.foundation.vision.views import ViewPlan, batches
from immunopath.models.protocols import RGB, TileSource

F32 = npt.NDArray[np.float32]
_AT_ONCE: Final = 64
"""Views of one case that wait at the same time: a slide's never lie in memory together."""


class ViewBatcher:
    """Runs `encode` (views to one row each) on views that cases in several threads hand in."""

    def __init__(self, encode: Callable[[Sequence[RGB]], F32], size: int) -> None:
        self._chunk = max(size, _AT_ONCE)
        self._batcher: Batcher[RGB, F32] = Batcher(
            lambda views: list(encode(views)),
            max_size=size,
            max_queue=4 * self._chunk,
            freed=_free_memory,
        )

    def rows(self, source: TileSource, plan: ViewPlan) -> Iterator[tuple[int, F32]]:
        """Yield a row for every view of a case with the place of its tile in ``source.tiles``.

        Raises what `encode` raises, and `EngineUnavailable` when memory does not hold one view.
        """
        for chunk in batches(source, plan, self._chunk):
            rows = self._batcher.map([view for _, view in chunk])
            yield from zip((place for place, _ in chunk), rows, strict=True)

    def close(self) -> None:
        """End the worker; what waits is cancelled."""
        self._batcher.close()


def _free_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
