"""The roles an engine can play. Heavy imports happen in the builders, never here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from immunopath.domain.prediction import PhenotypeScores, PredictorResult
from immunopath.domain.quality import TileSummary

RGB = npt.NDArray[np.uint8]
"""An image, shape (height, width, 3), sRGB, uint8."""


class TilePixels(Protocol):
    """The pixels of tiles that are known by their ids."""

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """Return a tile at `mpp` (µm per pixel), shape (h, w, 3) uint8.

        `halo_um` adds that many micrometres of true surroundings on every side where the image
        has them (see `halo`); nothing is padded.
        """

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """Return the halo really available, in µm: left, top, right, bottom."""


class TileSource(TilePixels, Protocol):
    """The accepted tiles of one case, decoded once, resampled on demand."""

    @property
    def tiles(self) -> Sequence[TileSummary]:
        """Accepted tiles in reading order, image by image."""

    def image(self, image_index: int, max_px: int) -> RGB:
        """Return a whole image reduced to at most `max_px` on its longer side."""


@dataclass(frozen=True)
class NucleiTable:
    """Every nucleus of a case. All arrays have length n.

    x_um, y_um: centroid in µm from the top-left corner of the nucleus's image (float32);
    image_index: which image (int32); area_um2 (float32);
    p_lymphocyte: in [0, 1] (float32); is_lymphocyte: the engine's call (bool).
    """

    x_um: npt.NDArray[np.float32]
    y_um: npt.NDArray[np.float32]
    image_index: npt.NDArray[np.int32]
    area_um2: npt.NDArray[np.float32]
    p_lymphocyte: npt.NDArray[np.float32]
    is_lymphocyte: npt.NDArray[np.bool_]
    in_nest: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.x_um.shape[0])


@dataclass(frozen=True)
class Prediction:
    """A predictor's answer: the typed result and, when it saw nuclei, the nuclei themselves."""

    result: PredictorResult
    nuclei: NucleiTable | None = None


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is, as a frozen value for `models list`, provenance and cache keys."""

    role: str
    name: str
    revision: str
    weights_digest: str | None
    expected_mpp: float | None
    input_px: int | None
    embedding_size: int | None
    licence: str
    gated: bool
    description: str
    preprocess: str = ""
    """What happens to pixels before the model, where choices exist: ``view=tile;resize=area``."""


class Predictor(Protocol):
    """Predicts the eight fields."""

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""

    def predict(self, source: TileSource) -> Prediction:
        """Return the profile; raises `EngineError` when the engine cannot work."""


@runtime_checkable
class AsksHistology(Protocol):
    """A predictor whose prompt names the histology of the case, as its training did."""

    def predict_for(self, source: TileSource, histology: str | None) -> Prediction:
        """Like `predict`; `histology` is the stated one, None when nobody stated any."""


class PhenotypeScorer(Protocol):
    """Scores inflamed / excluded / desert without reading the predictor."""

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""

    def score(self, source: TileSource) -> PhenotypeScores:
        """Return the scores, or an abstention; raises `EngineError`."""


class Embedder(Protocol):
    """Maps patches to unit vectors."""

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""

    def embed(self, source: TileSource) -> npt.NDArray[np.float32]:
        """Return one unit-norm row per accepted tile, shape (n_tiles, embedding_size)."""
