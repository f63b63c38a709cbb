"""RNA-like labels of synthetic patients: the image's truth plus noise, cut as real labels are.

A patient's *signals* are what was drawn: the square root of the lymphocytes' share of nuclei
(``til``), of their density inside nests (``cd8``), and the fibrosis of the stroma. Standardised on
the training split, blurred by noise of a chosen size and brought to the spread of a gene-set score,
they stand for expression scores. The eight fields follow by the formulas of real labels: medians,
±0.5 cuts, sigmoid or min-max, all constants from the training split.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import CutPoints
from immunopath.training.samples import Label

Values = npt.NDArray[np.float64]
TilScale = Literal["sigmoid", "minmax"]
SCORE_SPREAD: Final = 0.75
"""Standard deviation of a mean of gene z-scores, as in the published run (0.747)."""
DENSITY_CUT: Final = 0.5
MSI_SHARE: Final = 0.03
"""Of MSI-H, drawn at random: by construction no image shows it."""
CD274_FROM_IFNG: Final = 0.6
"""Correlation of the CD274 level with the IFN-gamma score; the rest cannot be seen."""


class LabelConstants(Frozen):
    """Everything fitted, on the training split only; signals are standardised with mean, spread."""

    mean: dict[str, float]
    spread: dict[str, float]
    median: dict[str, float]
    til_range: tuple[float, float]
    immune_range: tuple[float, float]
    fitted_on: Literal["train"] = "train"

    def cut_points(self, scale: TilScale) -> CutPoints:
        """Return where ``til_fraction`` of this scale is cut into density classes."""
        low, high = (
            til_fraction(cut, scale, self.til_range) for cut in (-DENSITY_CUT, DENSITY_CUT)
        )
        return CutPoints(low=low, high=high)


def til_fraction(score: float, scale: TilScale, limits: tuple[float, float]) -> float:
    """Return a score as a number in [0, 1]: the card's sigmoid or the run's min-max, clipped."""
    if scale == "sigmoid":
        return round(1 / (1 + math.exp(-score)), 4)
    return _between(score, limits)


def _between(score: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return round(min(1.0, max(0.0, (score - low) / max(high - low, 1e-9))), 4)


def noisy_scores(
    signals: dict[str, Values], train: npt.NDArray[np.bool_], noise: float, rng: np.random.Generator
) -> tuple[dict[str, Values], dict[str, float], dict[str, float]]:
    """Return scores by name (til, cd8, ifng, fibrosis, cd274) and the mean, spread of the signals.

    noise: standard deviation of the label noise when that of the signal is 1, so that the
    signal-to-noise ratio is 1 / noise². Half of its variance is common to the immune scores of a
    patient, as a bad RNA sample is bad for all.
    """
    mean = {name: float(found[train].mean()) for name, found in signals.items()}
    spread = {name: max(float(found[train].std()), 1e-9) for name, found in signals.items()}
    z = {name: (found - mean[name]) / spread[name] for name, found in signals.items()}
    z["ifng"] = _unit(0.6 * z["cd8"] + 0.4 * z["til"], train)
    n = len(train)
    common = rng.standard_normal(n)
    scale = SCORE_SPREAD / math.sqrt(1 + noise**2)
    made: dict[str, Values] = {}
    for name in ("til", "cd8", "ifng", "fibrosis"):
        own = rng.standard_normal(n)
        error = own if name == "fibrosis" else (common + own) / math.sqrt(2)
        made[name] = scale * (z[name] + noise * error)
    hidden = rng.standard_normal(n) * math.sqrt(1 - CD274_FROM_IFNG**2)
    made["cd274"] = CD274_FROM_IFNG * made["ifng"] / SCORE_SPREAD + hidden
    return made, mean, spread


def _unit(values: Values, train: npt.NDArray[np.bool_]) -> Values:
    spread = max(float(values[train].std()), 1e-9)
    return np.asarray((values - values[train].mean()) / spread)


def fit_constants(
    scores: dict[str, Values],
    train: npt.NDArray[np.bool_],
    mean: dict[str, float],
    spread: dict[str, float],
) -> LabelConstants:
    """Return medians and ranges of the training patients' scores."""
    immune = immune_axis(scores)[train]
    til = scores["til"][train]
    return LabelConstants(
        mean=mean,
        spread=spread,
        median={name: float(np.median(found[train])) for name, found in scores.items()},
        til_range=(float(til.min()), float(til.max())),
        immune_range=(float(immune.min()), float(immune.max())),
    )


def immune_axis(scores: dict[str, Values]) -> Values:
    """Return the mean of the three immune scores."""
    return np.asarray((scores["cd8"] + scores["ifng"] + scores["til"]) / 3)


def eight_fields(
    scores: dict[str, Values], msi: Sequence[bool], constants: LabelConstants, scale: TilScale
) -> list[dict[str, Label]]:
    """Return the labels of every patient by the formulas of real labels."""
    axis = immune_axis(scores)
    rows: list[dict[str, Label]] = []
    for i, unstable in enumerate(msi):
        row = {name: float(found[i]) for name, found in scores.items()}
        above = {name: row[name] >= cut for name, cut in constants.median.items()}
        rows.append(
            {
                "cd274_expression": "high" if above["cd274"] else "low",
                "msi_status": "MSI-H" if unstable else "MSS",
                "tme_subtype": _subtype(above["til"], above["fibrosis"]),
                "til_fraction": til_fraction(row["til"], scale, constants.til_range),
                "til_density": _thirds(row["til"]),
                "immune_phenotype": _phenotype(above["til"], above["cd8"]),
                "cd8_infiltration": _thirds(row["cd8"]),
                "immune_score": _between(float(axis[i]), constants.immune_range),
            }
        )
    return rows


def _thirds(score: float) -> str:
    return "low" if score < -DENSITY_CUT else "moderate" if score < DENSITY_CUT else "high"


def _phenotype(many: bool, cytotoxic: bool) -> str:
    if not many:
        return "desert"
    return "inflamed" if cytotoxic else "excluded"


def _subtype(many: bool, fibrotic: bool) -> str:
    if many:
        return "IE/F" if fibrotic else "IE"
    return "F" if fibrotic else "D"
