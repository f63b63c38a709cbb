"""What a MIL head says of each image alone, for estimates over a whole slide."""

from collections.abc import Mapping, Sequence

import numpy as np

from immunopath.domain.prediction import FIELD_VALUES, GRID, ImageCall
from immunopath.models.mil.network import F64, FieldTables

TIL, PHENOTYPE = "til_fraction", "immune_phenotype"


def image_calls(
    found: Mapping[str, FieldTables], image_index: Sequence[int]
) -> tuple[ImageCall, ...]:
    """Return mean lymphocyte fraction and leading phenotype of the tiles of each image.

    image_index: of the image behind each row of the tables. Empty when the head was not trained
    for the fraction. Tiles count equally: attention belongs to the case, not to an image.
    """
    if TIL not in found:
        return ()
    owner = np.asarray(image_index)
    values = found[TIL].tiles @ np.array([float(level) for level in GRID])
    return tuple(
        ImageCall(
            image_index=int(index),
            til=float(values[owner == index].mean()),
            weight=1.0,
            phenotype=_leading(found[PHENOTYPE].tiles[owner == index])
            if PHENOTYPE in found
            else None,
        )
        for index in np.unique(owner)
    )


def _leading(tables: F64) -> str:
    return (FIELD_VALUES[PHENOTYPE] or ())[int(tables.mean(axis=0).argmax())]
