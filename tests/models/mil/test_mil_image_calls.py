"""What a MIL head says of each image alone."""

import numpy as np
import pytest

from immunopath.domain.prediction import GRID
from immunopath.models.mil.image_calls import image_calls
from immunopath.models.mil.network import FieldTables


def numbers(*values: float) -> FieldTables:
    """Return tables that are sure of a number each."""
    tiles = np.zeros((len(values), len(GRID)))
    tiles[range(len(values)), [round(100 * v) for v in values]] = 1
    return FieldTables(case=tiles.mean(axis=0), tiles=tiles, attention=np.full(len(values), 0.5))


def test_tiles_of_an_image_are_averaged() -> None:
    layout = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.2, 0.8]])
    found = {
        "til_fraction": numbers(0.1, 0.3, 0.8),
        "immune_phenotype": FieldTables(layout[0], layout, np.ones(3) / 3),
    }
    one, two = image_calls(found, [4, 4, 7])
    assert (one.image_index, two.image_index) == (4, 7)
    assert (one.til, two.til) == (pytest.approx(0.2), pytest.approx(0.8))
    assert (one.weight, two.weight) == (1, 1)
    assert (one.phenotype, two.phenotype) == ("inflamed", "desert")


def test_a_head_without_the_fraction_has_none_and_without_layout_no_phenotype() -> None:
    assert image_calls({}, []) == ()
    (one,) = image_calls({"til_fraction": numbers(0.5)}, [0])
    assert one.phenotype is None
