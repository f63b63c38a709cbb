"""What the embedded predictor counts in each image alone, for estimates over a whole slide."""

import numpy as np

from immunopath.domain.prediction import ImageCall
from immunopath.models.embedded.classifier import Correction
from immunopath.models.embedded.fields import MIN_NUCLEI
from immunopath.models.embedded.layout import Layout
from immunopath.models.embedded.nuclei import CaseNuclei


def image_calls(case: CaseNuclei, layout: Layout, correction: Correction) -> tuple[ImageCall, ...]:
    """Return share, nuclei and phenotype of every image with ten nuclei or more.

    The share is corrected on a straight line and not clipped, so that its mean over images is the
    corrected mean.
    """
    nuclei = np.bincount(case.image_index)
    found = np.bincount(case.image_index, weights=case.nuclei.is_lymphocyte)
    span = max(correction.ceiling - correction.floor, 0.1)
    return tuple(
        ImageCall(
            image_index=int(index),
            til=float((found[index] / nuclei[index] - correction.floor) / span),
            weight=float(nuclei[index]),
            phenotype=layout.by_image.get(int(index)),
        )
        for index in np.flatnonzero(nuclei >= MIN_NUCLEI)
    )
