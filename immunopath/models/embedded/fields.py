"""The eight fields as embedded morphometry can and cannot know them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.domain.prediction import CutPoints, FieldPrediction, Quantity
from immunopath.domain.provenance import Provenance
from immunopath.domain.words import counted
from immunopath.models.embedded.classifier import Correction
from immunopath.models.embedded.layout import Layout, decide
from immunopath.models.embedded.shares import (
    COVERAGE,
    DRAWS,
    SEED,
    Share,
    correction_draws,
    table_of,
)

MIN_NUCLEI = 10
"""Below ten nuclei the 90 % sampling error of a share spans about half of the scale: the interval
would reach from one density class into the other whatever was counted."""
CUT_POINTS = CutPoints(low=0.12, high=0.40)
"""On the corrected share: below 0.12 is what a desert is called, from 0.40 on a field without
nests would count as dense (`layout`); so density and phenotype cannot contradict each other."""

SHARE = Quantity.lymphocyte_share_of_nuclei.value
DENSITY = ("high", "moderate", "low")
PHENOTYPES = ("inflamed", "excluded", "desert")
MIN_PHENOTYPE_BLOCKS = 8

CD274_PRIOR = {"high": 0.5, "low": 0.5}
"""By construction: the label is a median split."""
MSI_PRIOR = {"MSI-H": 0.007, "MSS": 0.993}
_TME_COUNTS = {"IE": 220, "IE/F": 153, "F": 211, "D": 330}
"""Classes of the source cohort's labelled patients (Bagaev 2021 classes)."""
TME_PRIOR = {k: n / sum(_TME_COUNTS.values()) for k, n in _TME_COUNTS.items()}


@dataclass(frozen=True)
class Common:
    """What every field of one result carries."""

    n_tiles: int
    qc_pass: bool
    source: Provenance


def cannot_see(
    common: Common, quantity: str, reason: str, prior: dict[str, float] | None
) -> FieldPrediction[str]:
    """Return the abstention of a field that H&E morphology cannot show."""
    return FieldPrediction[str](
        quantity=quantity,
        n_tiles=common.n_tiles,
        qc_pass=common.qc_pass,
        value=None,
        prior=prior,
        abstained=True,
        reason=reason,
        source=common.source,
    )


def unseen_fields(common: Common) -> dict[str, FieldPrediction[str]]:
    """Return the four fields on which this engine always abstains, with priors where known."""
    return {
        "cd274_expression": cannot_see(
            common,
            "cd274_rna_median_split",
            "CD274 expression cannot be seen in H&E; the prior is 0.5 because the label is a "
            "median split.",
            CD274_PRIOR,
        ),
        "msi_status": cannot_see(
            common,
            "msi_call",
            "Microsatellite status cannot be read from one H&E field; the prior is its frequency "
            "in NSCLC.",
            MSI_PRIOR,
        ),
        "tme_subtype": cannot_see(
            common,
            "bagaev_class",
            "The microenvironment class is defined on RNA and this engine has no validated link "
            "to it; the prior is the class frequency of the source cohort.",
            TME_PRIOR,
        ),
        "cd8_infiltration": cannot_see(
            common,
            "cd8_rna_score_class",
            "CD8 cells cannot be told from other lymphocytes in H&E; no prior is given because "
            "the class frequencies of the source cohort are not known.",
            None,
        ),
    }


def share_field(
    common: Common, share: Share | None, n_nuclei: int, disagreement: float | None
) -> FieldPrediction[float]:
    """Return ``til_fraction``: the corrected share, the raw one beside it, a 90 % interval."""
    if share is None:
        return FieldPrediction[float](
            quantity=SHARE,
            n_tiles=common.n_tiles,
            qc_pass=common.qc_pass,
            value=None,
            abstained=True,
            reason=too_few(n_nuclei),
            source=common.source,
        )
    return FieldPrediction[float](
        quantity=SHARE,
        n_tiles=common.n_tiles,
        tile_disagreement=disagreement,
        qc_pass=common.qc_pass,
        value=share.value,
        raw_value=share.raw,
        interval=share.interval,
        coverage=COVERAGE,
        abstained=False,
        source=common.source,
    )


def density_field(
    common: Common, share: Share | None, n_nuclei: int, disagreement: float | None
) -> FieldPrediction[str]:
    """Return ``til_density``: the share at this engine's cut points, shares of draws per class."""
    quantity = f"{SHARE}_class"
    if share is None:
        return cannot_see(common, quantity, too_few(n_nuclei), None)
    low, high = share.draws < CUT_POINTS.low, share.draws >= CUT_POINTS.high
    labels = np.where(low, "low", np.where(high, "high", "moderate"))
    return FieldPrediction[str](
        quantity=quantity,
        n_tiles=common.n_tiles,
        tile_disagreement=disagreement,
        qc_pass=common.qc_pass,
        value=CUT_POINTS.density_class(share.value),
        probabilities=table_of(labels, DENSITY),
        abstained=False,
        source=common.source,
    )


def phenotype_field(common: Common, layout: Layout, correction: Correction) -> FieldPrediction[str]:
    """Return ``immune_phenotype`` from the layout, or its abstention."""
    quantity = "lymphocyte_layout_against_nests"
    if layout.phenotype is None:
        return cannot_see(common, quantity, layout.reason, None)
    return FieldPrediction[str](
        quantity=quantity,
        n_tiles=common.n_tiles,
        qc_pass=common.qc_pass,
        value=layout.phenotype,
        probabilities=phenotype_table(layout, correction),
        abstained=False,
        source=common.source,
    )


def phenotype_table(layout: Layout, correction: Correction) -> dict[str, float] | None:
    """Return how often resampled 100 µm blocks give each phenotype, the nest map held fixed.

    None with fewer than eight blocks. A stability, not a calibrated probability.
    """
    k = len(layout.blocks)
    if k < MIN_PHENOTYPE_BLOCKS:
        return None
    rng = np.random.default_rng(SEED)
    floor, ceiling = correction_draws(correction, rng)
    totals = rng.multinomial(k, np.full(k, 1 / k), DRAWS) @ layout.blocks
    with_nest = totals[:, 1] > 0
    labels: npt.NDArray[np.str_] = decide(
        totals[with_nest], floor[with_nest], np.maximum(ceiling, floor + 0.1)[with_nest]
    )
    return table_of(labels, PHENOTYPES)


def hint_field(common: Common, share: Share | None, n_nuclei: int) -> FieldPrediction[float]:
    """Return ``immune_score`` as a hint: the corrected lymphocyte share itself, nothing added.

    The published score averages three RNA signatures; the share orders cases in the same sense
    and no more is claimed, so it carries no interval.
    """
    quantity = "hint_equal_to_lymphocyte_share"
    value = None if share is None else share.value
    return FieldPrediction[float](
        quantity=quantity,
        n_tiles=common.n_tiles,
        qc_pass=common.qc_pass,
        value=value,
        hint=value is not None,
        abstained=value is None,
        reason=too_few(n_nuclei) if value is None else "",
        source=common.source,
    )


def too_few(n_nuclei: int) -> str:
    """Return why a share was not given."""
    seen = (
        "no nuclei were"
        if n_nuclei == 0
        else f"only {counted(n_nuclei, 'nucleus was', 'nuclei were')}"
    )
    return f"A share needs at least {MIN_NUCLEI} nuclei; {seen} found."
