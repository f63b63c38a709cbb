"""RNA-like labels of synthetic patients: the truth of the image plus noise, cut as real scores are.

A patient's *signals* are what was drawn: the square root of the lymphocytes' share of nuclei
(``til``), of their density inside nests (``cd8``), and the fibrosis of the stroma. Standardised on
the training split, blurred by noise of a chosen size and brought to the spread of a gene-set score,
they stand for expression scores. The eight fields follow by `immunopath.training.labels.fields`,
the code that labels real patients, with constants from the training split.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import CutPoints
from immunopath.training.labels.calls import Tme
from immunopath.training.labels.fields import (
    LabelConstants,
    PatientScores,
    Variant,
    fit_constants,
)

Values = npt.NDArray[np.float64]
Scores = dict[str, Values]
SCORE_SPREAD: Final = 0.75
"""Standard deviation of a mean of gene z-scores, as in the published run (0.747)."""
CD274: Final = (3.15, 1.0)
"""Mean and standard deviation of the log2(TPM + 1) of CD274."""
CD274_FROM_IFNG: Final = 0.6
"""Correlation of the CD274 level with the IFN-gamma score; the rest cannot be seen."""
MSI_SHARE: Final = 0.03
"""Of MSI-H, drawn at random: by construction no image shows it."""
FORMAT: Final = "immunopath.synthetic-labels"


class SyntheticConstants(Frozen):
    """Everything that was fitted on the training patients, and how noisy the labels are.

    mean, spread: of each signal; fibrosis_median: where ``F`` begins; noise: see `noisy_scores`.
    """

    format: Literal["immunopath.synthetic-labels"] = FORMAT
    version: Literal["1"] = "1"
    variant: Variant
    quantity: str
    noise: float
    mean: dict[str, float]
    spread: dict[str, float]
    fibrosis_median: float
    constants: LabelConstants

    @property
    def cut_points(self) -> CutPoints:
        """Where ``til_fraction`` of this variant is cut into density classes."""
        return self.constants.cut_points(self.variant)


def standardised(
    signals: Mapping[str, Values], train: npt.NDArray[np.bool_]
) -> tuple[Scores, dict[str, float], dict[str, float]]:
    """Return signals with mean 0 and spread 1 on the training patients, and these two by name.

    ``ifng`` is added: three parts of ``cd8``, two of ``til``.
    """
    mean = {name: float(found[train].mean()) for name, found in signals.items()}
    spread = {name: max(float(found[train].std()), 1e-9) for name, found in signals.items()}
    z: Scores = {name: (found - mean[name]) / spread[name] for name, found in signals.items()}
    mixed = 0.6 * z["cd8"] + 0.4 * z["til"]
    z["ifng"] = (mixed - mixed[train].mean()) / max(float(mixed[train].std()), 1e-9)
    return z, mean, spread


def noisy_scores(z: Mapping[str, Values], noise: float, rng: np.random.Generator) -> Scores:
    """Return the scores of all patients: til, cd8, ifng, fibrosis, cd274.

    noise: standard deviation of the label noise when that of the signal is 1, so that the
    signal-to-noise ratio is 1 / noise². Half of its variance is common to the immune scores of a
    patient, as a bad RNA sample is bad for all. Of CD274 a part is never in the image.
    """
    n = len(z["til"])
    common = rng.standard_normal(n)
    scale = SCORE_SPREAD / math.sqrt(1 + noise**2)
    made: Scores = {}
    for name in ("til", "cd8", "ifng", "fibrosis"):
        own = rng.standard_normal(n)
        error = own if name == "fibrosis" else (common + own) / math.sqrt(2)
        made[name] = scale * (z[name] + noise * error)
    hidden = rng.standard_normal(n) * math.sqrt(1 - CD274_FROM_IFNG**2)
    made["cd274"] = CD274[0] + CD274[1] * (CD274_FROM_IFNG * made["ifng"] / SCORE_SPREAD + hidden)
    return made


def patient_scores(
    scores: Scores, msi: Sequence[bool], fibrosis_median: float, til_median: float
) -> list[PatientScores]:
    """Return what the fields of every patient are made of, subtype and MSI call included."""
    rows = []
    for i, unstable in enumerate(msi):
        til, fibrous = float(scores["til"][i]), bool(scores["fibrosis"][i] >= fibrosis_median)
        immune: tuple[Tme, Tme] = ("IE", "IE/F") if til >= til_median else ("D", "F")
        rows.append(
            PatientScores(
                til=til,
                cd8=float(scores["cd8"][i]),
                ifng=float(scores["ifng"][i]),
                cd274=float(scores["cd274"][i]),
                msi="MSI-H" if unstable else "MSS",
                tme=immune[fibrous],
            )
        )
    return rows


def fitted(
    scores: Scores, train: npt.NDArray[np.bool_], msi: Sequence[bool]
) -> tuple[list[PatientScores], LabelConstants, float]:
    """Return everybody's scores, the training patients' constants, and their fibrosis median."""
    fibrosis = float(np.median(scores["fibrosis"][train]))
    rows = patient_scores(scores, msi, fibrosis, float(np.median(scores["til"][train])))
    by_id = {str(i): row for i, row in enumerate(rows)}
    ids = [str(i) for i in np.flatnonzero(train)]
    return rows, fit_constants(by_id, ids), fibrosis
