"""Any image encoder as an `Embedder`: views of tiles in, one unit row per tile out."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import EngineError, ImageSizeError, LogitsNotFinite
from immunopath.domain.units import WORKING_MPP
from immunopath.models.foundation.vision.view_batcher import ViewBatcher
from immunopath.models.foundation.vision.views import LAYOUTS, Layout, ViewPlan, too_small
from immunopath.models.foundation.vision.zero_shot import MAX_BATCH
from immunopath.models.protocols import RGB, EngineInfo, TileSource
from immunopath.models.spec import EngineSpec

F32 = npt.NDArray[np.float32]
OPTIONS: Final = ("mpp", "view", "batch")


@dataclass(frozen=True)
class VisionModel:
    """A loaded image encoder.

    encode: (n, px, px, 3) uint8 to (n, size) float32, not yet of unit length; settings: what else
    decides the vectors (pooling, mean, dtype), for the encoder's identity.
    """

    name: str
    revision: str
    weights_digest: str
    px: int
    size: int
    licence: str
    gated: bool
    description: str
    encode: Callable[[RGB], F32]
    settings: str = ""


class TileEmbedder:
    """Implements `Embedder`. A tile's vector is the mean of its views' unit vectors, normalised."""

    def __init__(self, model: VisionModel, plan: ViewPlan, batch: int) -> None:
        self._model, self._plan = model, plan
        self._batcher = ViewBatcher(self._unit, batch)

    @property
    def info(self) -> EngineInfo:
        """What the engine is; `preprocess` enters the atlas's identity of the encoder."""
        model, plan = self._model, self._plan
        parts = [f"view={plan.layout}", *([model.settings] if model.settings else [])]
        return EngineInfo(
            role="embedder",
            name=model.name,
            revision=model.revision,
            weights_digest=model.weights_digest,
            expected_mpp=None if plan.layout == "squeeze" else plan.mpp,
            input_px=model.px,
            embedding_size=model.size,
            licence=model.licence,
            gated=model.gated,
            description=model.description,
            preprocess=";".join(parts),
        )

    def embed(self, source: TileSource) -> F32:
        """Return one unit-norm row per accepted tile, (n_tiles, size) float32, contiguous.

        Raises `ImageSizeError` when a tile and its surroundings are smaller than a view and
        `LogitsNotFinite` when the model gives numbers that are none.
        """
        total = np.zeros((len(source.tiles), self._model.size), np.float64)
        seen: defaultdict[int, int] = defaultdict(int)
        for row, vector in self._batcher.rows(source, self._plan):
            total[row] += vector
            seen[row] += 1
        blind = [tile for row, tile in enumerate(source.tiles) if not seen[row]]
        if blind:
            raise ImageSizeError(f"tile {blind[0].tile_id}: {too_small(blind, self._plan)}")
        lengths = np.linalg.norm(total, axis=1, keepdims=True)
        if (lengths == 0).any():
            raise EngineError(f"{self._model.name}: the views of a tile cancel out; no direction")
        return np.ascontiguousarray(total / lengths, np.float32)

    def close(self) -> None:
        """End the worker that gathers views."""
        self._batcher.close()

    def _unit(self, views: Sequence[RGB]) -> F32:
        """Return unit rows for views; raises for a wrong shape, NaN and zero vectors."""
        model = self._model
        stacked = np.stack([fitted(view, model.px) for view in views])
        rows = np.asarray(model.encode(stacked), np.float64)
        if rows.shape != (len(stacked), model.size):
            raise EngineError(f"{model.name}: {rows.shape} numbers for {len(stacked)} views")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            raise LogitsNotFinite(
                f"{model.name}: the model gives NaN, infinity or nothing but zeros; its weights "
                "are damaged or its dtype does not fit, try dtype=float32"
            )
        return np.asarray(rows / lengths, np.float32)


def fitted(view: RGB, px: int) -> RGB:
    """Return a view as (px, px, 3): as it is when it fits, else resampled, aspect not kept."""
    if view.shape[:2] == (px, px):
        return view
    way = cv2.INTER_AREA if min(view.shape[:2]) > px else cv2.INTER_CUBIC
    out = cv2.resize(np.ascontiguousarray(view), (px, px), interpolation=way)
    return np.asarray(out, dtype=np.uint8)


@dataclass(frozen=True)
class TileOptions:
    """The choices of an embedder's spec: µm per pixel, layout of views, views per batch."""

    mpp: float
    layout: Layout
    batch: int

    @classmethod
    def of(cls, spec: EngineSpec, mpp: float = WORKING_MPP) -> Self:
        """Return the options of a spec, `mpp` where it says none; raises `EngineSpecError`."""
        return cls(
            mpp=spec.number("mpp", mpp, 0.05, 20.0),
            layout=spec.choice("view", LAYOUTS),
            batch=spec.whole("batch", 16, 1, MAX_BATCH),
        )

    def embedder(self, model: VisionModel) -> TileEmbedder:
        """Return the embedder of a loaded model."""
        mpp = WORKING_MPP if self.layout == "squeeze" else self.mpp
        return TileEmbedder(model, ViewPlan(mpp, model.px, self.layout), self.batch)
