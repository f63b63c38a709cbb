"""What the tests of the embedders ask of them."""

from typing import cast

import numpy as np
from stores import store_of

from immunopath.models.foundation.vision.tile_embedder import TileEmbedder
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec


def embedder(name: str, source: object, **options: str) -> TileEmbedder:
    spec = EngineSpec(name=name, source=str(source), options=options)
    return cast("TileEmbedder", build_engine("embedder", spec, "cpu"))


def accepted(rgb: np.ndarray) -> object:
    """A store whose only tile passes quality control, which noise would not."""
    store = store_of(rgb)
    store._summaries = [
        tile.model_copy(update={"quality": tile.quality.model_copy(update={"verdict": "accept"})})
        for tile in store.all_tiles
    ]
    return store
