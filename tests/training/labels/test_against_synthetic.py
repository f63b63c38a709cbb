"""The synthetic cohort labels by the same formulas, written a second time for whole arrays."""

import numpy as np
import pytest

from immunopath.training.labels.fields import PatientScores, Variant, fit_constants, label_fields
from immunopath.training.synthetic import labels as synthetic

SAME = ("cd274_expression", "msi_status", "til_density", "immune_phenotype", "cd8_infiltration")


@pytest.mark.parametrize(("variant", "scale"), [("card", "sigmoid"), ("run-v3.1", "minmax")])
def test_both_give_the_same_fields(variant: Variant, scale: synthetic.TilScale) -> None:
    rng = np.random.default_rng(0)
    names = ("til", "cd8", "ifng", "fibrosis", "cd274")
    table = {name: rng.normal(size=200) for name in names}
    train = np.arange(200) < 150
    msi = list(rng.random(200) < 0.1)
    theirs = synthetic.eight_fields(
        table, msi, synthetic.fit_constants(table, train, {}, {}), scale
    )
    scores = {
        str(i): PatientScores(
            **{name: float(table[name][i]) for name in ("til", "cd8", "ifng", "cd274")},
            msi="MSI-H" if msi[i] else "MSS",
        )
        for i in range(200)
    }
    constants = fit_constants(scores, [str(i) for i in range(150)])
    for i, their in enumerate(theirs):
        ours = label_fields(scores[str(i)], constants, variant)
        assert {name: ours[name] for name in SAME} == {name: their[name] for name in SAME}
        for name in ("til_fraction", "immune_score"):
            assert ours[name] == pytest.approx(their[name], abs=6e-4)  # three and four decimals
