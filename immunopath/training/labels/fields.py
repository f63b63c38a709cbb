"""From signature scores to the eight fields: constants fitted on the training patients.

The formulas are those of the published adapter. Its model card and its run differ in one number,
``til_fraction``, so both exist as named variants: ``card`` squashes the TIL score with a sigmoid,
``run-v3.1`` scales it by the minimum and maximum of the training patients.
"""

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, median
from typing import Final, Literal, Self, get_args

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import LabelError, OneClassField
from immunopath.domain.prediction import CutPoints, Quantity
from immunopath.domain.words import counted
from immunopath.training.labels.calls import Tme
from immunopath.training.labels.msi import Msi
from immunopath.training.samples import Label

Variant = Literal["card", "run-v3.1"]
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)
CONSTANTS_VERSION: Final = "1"
CUT: Final = 0.5
"""Classes of density and CD8 infiltration are cut at −0.5 and +0.5 of the signature score."""
DIGITS: Final = 3
"""Numbers of the published targets have at most three decimals."""
QUANTITIES: Final[dict[Variant, Quantity]] = {
    "card": Quantity.rna_score_sigmoid,
    "run-v3.1": Quantity.rna_score_minmax,
}
"""What stands behind ``til_fraction`` in each variant."""


class PatientScores(Frozen):
    """What the eight fields of one patient are made of.

    til, cd8, ifng: signature scores, the mean of gene z-scores (unit: standard deviations of a
    gene over the training patients, about −3 to 3); cd274: log2(TPM + 1); msi, tme: published
    calls, None = unknown. NaN is refused with the name of the value.
    """

    til: float
    cd8: float
    ifng: float
    cd274: float
    msi: Msi | None = None
    tme: Tme | None = None

    @property
    def immune(self) -> float:
        """Mean of the CD8, IFN-γ and TIL scores, before it is scaled."""
        return fmean((self.cd8, self.ifng, self.til))


class Span(Frozen):
    """Smallest and largest value over the training patients."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low lies below high")
        return self

    def share(self, value: float) -> float:
        """Return where `value` lies between low (0) and high (1); outside is clipped."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


class LabelConstants(Frozen):
    """Every number that turns scores into fields, fitted on `n` training patients.

    Medians are those of log2(TPM + 1) (cd274) and of the scores; til and immune are spans of the
    TIL score and of the mean of the three scores.
    """

    version: Literal["1"] = CONSTANTS_VERSION
    n: int = Field(ge=2)
    cd274_median: float
    til_median: float
    cd8_median: float
    til: Span
    immune: Span
    low_cut: float = -CUT
    high_cut: float = CUT

    def cut_points(self, variant: Variant) -> CutPoints:
        """Return the density cuts on the scale of ``til_fraction`` (v3.1: 0.310 and 0.522)."""
        low, high = (til_fraction(cut, self, variant) for cut in (self.low_cut, self.high_cut))
        return CutPoints(low=low, high=high)


def fit_constants(scores: Mapping[str, PatientScores], train_ids: Iterable[str]) -> LabelConstants:
    """Fit the constants on the training patients; the others have no influence.

    scores: by patient id. Raises `LabelError` for a training patient without scores or for fewer
    than two, and `OneClassField` when a score is the same for all of them.
    """
    ids = sorted(set(train_ids))
    missing = [i for i in ids if i not in scores]
    if missing:
        raise LabelError(
            f"{counted(len(missing), 'training patient has', 'training patients have')} no scores "
            f"({', '.join(missing[:5])}); "
            "take them out of the split or give their expression"
        )
    if len(ids) < 2:
        raise LabelError(f"{counted(len(ids), 'training patient')}; constants need at least 2")
    train = [scores[i] for i in ids]
    columns = {
        name: [float(getattr(s, name)) for s in train] for name in ("cd274", "til", "cd8", "immune")
    }
    for name, values in columns.items():
        if max(values) <= min(values):
            raise OneClassField(
                f"the {name} score is {values[0]:g} for all {len(ids)} training patients; "
                "check the expression columns"
            )
    return LabelConstants(
        n=len(ids),
        cd274_median=median(columns["cd274"]),
        til_median=median(columns["til"]),
        cd8_median=median(columns["cd8"]),
        til=Span(low=min(columns["til"]), high=max(columns["til"])),
        immune=Span(low=min(columns["immune"]), high=max(columns["immune"])),
    )


def label_fields(
    scores: PatientScores, constants: LabelConstants, variant: Variant = "run-v3.1"
) -> dict[str, Label]:
    """Return the eight fields in contract order; None where a published call is unknown.

    Scores outside the training range are clipped to 0 or 1. Raises `LabelError` for an unknown
    variant.
    """
    return {
        "cd274_expression": "high" if scores.cd274 >= constants.cd274_median else "low",
        "msi_status": scores.msi,
        "tme_subtype": scores.tme,
        "til_fraction": round(til_fraction(scores.til, constants, variant), DIGITS),
        "til_density": _class(scores.til, constants),
        "immune_phenotype": _phenotype(scores, constants),
        "cd8_infiltration": _class(scores.cd8, constants),
        "immune_score": round(constants.immune.share(scores.immune), DIGITS),
    }


def til_fraction(til: float, constants: LabelConstants, variant: Variant) -> float:
    """Squash a TIL score into [0, 1] the way of `variant`; raises `LabelError` for another."""
    if variant == "card":
        return _sigmoid(til)
    if variant == "run-v3.1":
        return constants.til.share(til)
    raise LabelError(f"label variant {variant!r} is unknown; choose {' or '.join(VARIANTS)}")


def _sigmoid(value: float) -> float:
    """1 / (1 + e^−value), without overflow."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def _class(score: float, constants: LabelConstants) -> str:
    if score < constants.low_cut:
        return "low"
    return "moderate" if score < constants.high_cut else "high"


def _phenotype(scores: PatientScores, constants: LabelConstants) -> str:
    if scores.til < constants.til_median:
        return "desert"
    return "inflamed" if scores.cd8 >= constants.cd8_median else "excluded"
