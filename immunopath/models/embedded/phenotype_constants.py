"""The fitted and the declared numbers of the embedded phenotype engine, in one versioned file.

Written by ``scripts/fit_phenotype.py`` from the ten NuCLS patches. `Layout` holds what was
declared, not fitted: no data with a known phenotype exist here.
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
from immunopath.models.embedded.texture import F32, FEATURES

CONSTANTS = "constants/phenotype.json"


class Head(Frozen):
    """A linear model on standardised, clipped block features; absent features weigh 0."""

    intercept: float
    weights: dict[str, float]


class Layout(Frozen):
    """How maps become scores. Lengths in µm, areas in mm², densities per mm²."""

    min_field_um: float = 200.0
    """Shorter side that an image needs to be judged."""
    min_tissue_mm2: float = 0.02
    block_tissue: float = 0.3
    """Share of tissue from which a block counts."""
    smooth_blocks: int = 4
    """Nest-likeness is averaged over this many blocks a side (50 µm)."""
    nest_likeness: float = 0.25
    """Smoothed likeness that makes a block nest."""
    nest_share_below: float = 0.5
    """A nest's smoothed lymphoid share stays below this: a follicle is no nest."""
    coherence_below: float = 0.55
    """Blocks of more aligned texture are fibres or muscle, never nest."""
    min_nest_patch_mm2: float = 0.0025
    min_nest_mm2: float = 0.01
    present_per_mm2: float = 2500.0
    """Lymphoid density at which presence is a coin toss."""
    present_width: float = 0.35
    ratio_half: float = 0.4
    """Density inside over outside nests at which exclusion is a coin toss."""
    ratio_width: float = 0.35
    """Widths are in natural logarithms."""
    min_leading_score: float = 0.5
    """A leading phenotype below this is no answer."""


class PhenotypeConstants(Frozen):
    """Everything the engine rests on, with what it was fitted on."""

    version: str
    feature_names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float = Field(gt=0)
    """Standardised features are held to ± this: the fit saw ten patches, not the world."""
    share: Head
    """Logit of the share of lymphocytes among nuclei."""
    nest: Head
    """Logit of the share of tumour nuclei among nuclei."""
    root_nuclei: Head
    """Square root of the number of nuclei per block of 25 µm."""
    layout: Layout = Layout()
    fit_data: str
    fit_data_sha256: str
    seed: int
    jittered_copies: int

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        n = len(self.feature_names)
        if self.feature_names != FEATURES:
            raise ValueError("feature names differ from those this code computes")
        if len(self.mean) != n or len(self.scale) != n or min(self.scale) <= 0:
            raise ValueError("mean and scale need one value per feature, scale above 0")
        for head in (self.share, self.nest, self.root_nuclei):
            unknown = set(head.weights) - set(self.feature_names)
            if unknown:
                raise ValueError(f"unknown features {sorted(unknown)}")
        return self


@dataclass(frozen=True)
class PhenotypeModel:
    """The constants as arrays, with the SHA-256 of the file they came from."""

    constants: PhenotypeConstants
    digest: str
    mean: F32
    scale: F32

    def heads(self, features: F32) -> tuple[F32, F32, F32]:
        """Return lymphoid share, nest-likeness (both in [0, 1]) and nuclei per mm² of blocks.

        `features`: (..., len(FEATURES)); each result drops the last axis, float32.
        """
        clip = np.float32(self.constants.clip)
        z = np.clip((features - self.mean) / self.scale, -clip, clip)
        root = np.maximum(self._linear(z, self.constants.root_nuclei), 0)
        per_mm2 = 1e6 / 25.0**2
        return (
            _logistic(self._linear(z, self.constants.share)),
            _logistic(self._linear(z, self.constants.nest)),
            (np.square(root) * np.float32(per_mm2)).astype(np.float32),
        )

    def _linear(self, z: F32, head: Head) -> F32:
        names = self.constants.feature_names
        weights = np.array([head.weights.get(name, 0.0) for name in names], np.float32)
        scores: F32 = (z @ weights + np.float32(head.intercept)).astype(np.float32)
        return scores


def _logistic(x: F32) -> F32:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), np.float32)


def from_json(text: str) -> PhenotypeModel:
    """Build the model from the text of a constants file; raises `EngineError` if invalid."""
    try:
        constants = PhenotypeConstants.model_validate(json.loads(text))
    except ValueError as error:
        raise EngineError(
            f"{CONSTANTS} cannot be used ({first_fault(error)}): run scripts/fit_phenotype.py again"
        ) from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    mean, scale = np.array(constants.mean), np.array(constants.scale)
    return PhenotypeModel(constants, digest, mean.astype(np.float32), scale.astype(np.float32))


@lru_cache(maxsize=1)
def shipped() -> PhenotypeModel:
    """Return the model that comes with the package."""
    return from_json(files("immunopath.models.embedded").joinpath(CONSTANTS).read_text("utf-8"))
