"""The embedded embedder: a stain-robust texture and morphology vector of 128 numbers per tile.

`descriptor.describe` is standardised, clipped, and the directions in which stain-jittered copies
of one patch differ most are damped; then the vector is brought to unit length. The constants come
from ``scripts/fit_embedder.py`` and the ten NuCLS patches; no label is used.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.errors import EngineError
from immunopath.domain.units import WORKING_MPP
from immunopath.models.embedded.descriptor import GROUPS, SIZE, describe
from immunopath.models.embedded.texture import F32
from immunopath.models.protocols import EngineInfo, TileSource
from immunopath.models.spec import EngineSpec

CONSTANTS = "constants/embedder.json"
MIN_SIDE_PX = 16
"""Smaller tiles (8 µm) have no texture to describe."""


class EmbedderConstants(Frozen):
    """Standardisation and damping, with what they were fitted on."""

    version: str
    groups: tuple[tuple[str, int], ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float = Field(gt=0)
    nuisance: tuple[tuple[float, ...], ...]
    """Orthonormal rows, directions of stain, focus, scale and JPEG change."""
    damping: tuple[float, ...]
    """What remains of each nuisance direction, in [0, 1]."""
    fit_data: str
    fit_data_sha256: str
    seed: int
    jittered_copies: int

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        if self.groups != GROUPS:
            raise ValueError("descriptor groups differ from those this code computes")
        if len(self.mean) != SIZE or len(self.scale) != SIZE or min(self.scale) <= 0:
            raise ValueError("mean and scale need one value per number, scale above 0")
        if len(self.damping) != len(self.nuisance):
            raise ValueError("one damping per nuisance direction")
        if any(len(row) != SIZE for row in self.nuisance):
            raise ValueError("a nuisance direction has one value per number")
        return self


@dataclass(frozen=True)
class Whitening:
    """The constants as arrays, with the SHA-256 of the file they came from."""

    constants: EmbedderConstants
    digest: str
    mean: F32
    scale: F32
    nuisance: F32
    taken: F32
    """1 - damping."""

    def apply(self, raw: F32) -> F32:
        """Return unit vectors for raw descriptors, both (n, SIZE) float32.

        A descriptor exactly at the mean has no direction; it becomes the first axis.
        """
        clip = np.float32(self.constants.clip)
        z = np.clip((raw - self.mean) / self.scale, -clip, clip)
        z = z - (z @ self.nuisance.T * self.taken) @ self.nuisance
        length = np.linalg.norm(z, axis=1, keepdims=True)
        z = np.where(length > 0, z, np.eye(1, SIZE, dtype=np.float32))
        return np.ascontiguousarray(z / np.where(length > 0, length, 1), np.float32)


class EmbeddedEmbedder:
    """Implements `Embedder` on the CPU. Holds no state but its constants."""

    def __init__(self, whitening: Whitening) -> None:
        self._whitening = whitening

    @property
    def info(self) -> EngineInfo:
        """What the engine is; the weights digest is that of the constants file."""
        return EngineInfo(
            role="embedder",
            name="embedded",
            revision=self._whitening.constants.version,
            weights_digest=self._whitening.digest,
            expected_mpp=WORKING_MPP,
            input_px=None,
            embedding_size=SIZE,
            licence="MIT",
            gated=False,
            description="stain-robust texture and morphology vector, CPU",
        )

    def embed(self, source: TileSource) -> F32:
        """Return one unit-norm row per accepted tile, (n_tiles, 128) float32, contiguous.

        Raises `EngineError` for a tile below `MIN_SIDE_PX` at 0.5 µm per pixel.
        """
        rows = np.zeros((len(source.tiles), SIZE), np.float32)
        for row, tile in zip(rows, source.tiles, strict=True):
            rgb = source.pixels(tile.tile_id, WORKING_MPP)
            if min(rgb.shape[:2]) < MIN_SIDE_PX:
                raise EngineError(
                    f"tile {tile.tile_id} is {min(rgb.shape[:2])} px at {WORKING_MPP} µm/px: "
                    f"too small to embed, {MIN_SIDE_PX} needed"
                )
            row[:] = describe(rgb)
        return self._whitening.apply(rows)


def from_json(text: str) -> Whitening:
    """Build the whitening from the text of a constants file; raises `EngineError` if invalid."""
    try:
        constants = EmbedderConstants.model_validate(json.loads(text))
    except ValueError as error:
        raise EngineError(
            f"{CONSTANTS} cannot be used ({first_fault(error)}): run scripts/fit_embedder.py again"
        ) from error
    return Whitening(
        constants,
        hashlib.sha256(text.encode()).hexdigest(),
        np.array(constants.mean, np.float32),
        np.array(constants.scale, np.float32),
        np.array(constants.nuisance, np.float32).reshape(-1, SIZE),
        1 - np.array(constants.damping, np.float32),
    )


@lru_cache(maxsize=1)
def shipped() -> Whitening:
    """Return the whitening that comes with the package."""
    return from_json(files("immunopath.models.embedded").joinpath(CONSTANTS).read_text("utf-8"))


def build(spec: EngineSpec, device: str = "cpu") -> EmbeddedEmbedder:
    """Return the engine; it takes no options and always runs on the CPU.

    Raises `EngineSpecError` for options and `EngineError` for an unusable constants file.
    """
    spec.refuse_extras()
    return EmbeddedEmbedder(shipped())
