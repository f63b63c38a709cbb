"""The linear nucleus classifier: constants from a small versioned file, applied as one product.

Three classes: no nucleus, lymphocyte, other nucleus. The file is written by
``scripts/fit_nuclei.py`` from the ten NuCLS patches and nothing else.
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
from immunopath.models.embedded.density import BOOL, F32
from immunopath.models.embedded.features import GAIN_POWER, NAMES

CONSTANTS = "constants/nuclei.json"
CLASSES = ("none", "lymphocyte", "other")

GAIN_TARGET = 0.9
GAIN_RANGE = (0.25, 2.5)


class Correction(Frozen):
    """How a raw lymphocyte share maps to a corrected one: (raw - floor) / (ceiling - floor)."""

    floor: float = Field(ge=0, lt=1)
    """Share of other nuclei that the engine calls lymphocytes."""
    ceiling: float = Field(gt=0, le=1)
    """Share of lymphocytes that the engine calls lymphocytes."""
    floor_sd: float = Field(ge=0)
    ceiling_sd: float = Field(ge=0)
    """Uncertainty of the two ends, on the scale of a share."""
    source: str
    """Where floor, ceiling and their spread come from."""


class NucleiConstants(Frozen):
    """Everything fitted, with what it was fitted on."""

    version: str
    feature_names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    """Rows in the order of `CLASSES`; columns in the order of `feature_names`."""
    intercepts: tuple[float, ...]
    nucleus_threshold: float = Field(gt=0, lt=1)
    """A candidate is a nucleus when 1 - p(none) exceeds this."""
    lymphocyte_threshold: float = Field(gt=0, lt=1)
    """A nucleus is a lymphocyte when p(lym) / (p(lym) + p(other)) exceeds this."""
    correction: Correction
    fit_data: str
    fit_data_sha256: str
    fit_images: int
    fit_nuclei: int
    seed: int

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        n = len(self.feature_names)
        if self.feature_names != NAMES:
            raise ValueError("feature names differ from those this code computes")
        if len(self.mean) != n or len(self.scale) != n or min(self.scale) <= 0:
            raise ValueError("mean and scale need one value per feature, scale above 0")
        if len(self.coefficients) != len(CLASSES) or len(self.intercepts) != len(CLASSES):
            raise ValueError("one row of coefficients and one intercept per class")
        if any(len(row) != n for row in self.coefficients):
            raise ValueError("one coefficient per feature")
        return self


@dataclass(frozen=True)
class NucleiClassifier:
    """The constants as arrays, with the SHA-256 of the file they came from."""

    constants: NucleiConstants
    digest: str
    weights: F32
    """(features, 3): coefficients over scale, so that standardising costs nothing."""
    bias: F32
    """(3,)."""

    def probabilities(self, values: F32, gain: float) -> F32:
        """Return class probabilities, shape (n, 3), for features before the `gain`.

        Columns follow `CLASSES`; rows sum to 1. They are scores of a fit on ten patches, not
        calibrated on other data.
        """
        scaled = values * np.power(np.float32(gain), GAIN_POWER)
        scores = scaled @ self.weights + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        table: F32 = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return table

    def decide(self, table: F32) -> tuple[BOOL, F32, BOOL]:
        """Return is_nucleus, p_lymphocyte given a nucleus, and is_lymphocyte, each shape (n,)."""
        nucleus = 1 - table[:, 0] > self.constants.nucleus_threshold
        share = table[:, 1] / np.maximum(table[:, 1] + table[:, 2], 1e-12)
        return nucleus, share, nucleus & (share > self.constants.lymphocyte_threshold)


def gain_from(red_values: F32) -> float:
    """Return the factor that brings a case's stain half-way (in logarithm) to the usual one.

    sqrt(0.9 / q) held to [0.25, 2.5], q the 90th percentile of red density (1 µm blur) over the
    candidates of a case; 1 without candidates.
    """
    if red_values.size == 0:
        return 1.0
    q = max(float(np.percentile(red_values, 90)), 1e-3)
    return float(np.clip(np.sqrt(GAIN_TARGET / q), *GAIN_RANGE))


def from_json(text: str) -> NucleiClassifier:
    """Build a classifier from the text of a constants file; raises `EngineError` if invalid."""
    try:
        constants = NucleiConstants.model_validate(json.loads(text))
    except ValueError as error:
        raise EngineError(
            f"{CONSTANTS} cannot be used ({first_fault(error)}): run scripts/fit_nuclei.py again"
        ) from error
    scale = np.array(constants.scale)
    weights = np.array(constants.coefficients).T / scale[:, None]
    bias = np.array(constants.intercepts) - np.array(constants.mean) @ weights
    digest = hashlib.sha256(text.encode()).hexdigest()
    return NucleiClassifier(constants, digest, weights.astype(np.float32), bias.astype(np.float32))


@lru_cache(maxsize=1)
def shipped() -> NucleiClassifier:
    """Return the classifier that comes with the package."""
    return from_json(files("immunopath.models.embedded").joinpath(CONSTANTS).read_text("utf-8"))
