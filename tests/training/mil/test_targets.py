"""What labels allow: unknown is no class, one class is no field, weights follow counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from texture_cohort import labels_of

from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.targets import (
    Target,
    class_weights,
    cut_points_of,
    field_records,
    targets_of,
)
from immunopath.training.samples import Label, Sample

SHARES = np.linspace(0.02, 0.98, 24)


def samples(**labels: Label) -> list[Sample]:
    return [
        Sample(patient_id=f"P{n}", split="train", labels=labels_of(float(s)) | labels, origin="rna")
        for n, s in enumerate(SHARES)
    ]


def test_unknown_labels_are_nan_and_never_a_class() -> None:
    some = samples()
    some[3] = some[3].model_copy(update={"labels": {"til_fraction": None}})
    found = targets_of(some, ["til_fraction", "til_density", "tme_subtype"])
    assert np.isnan(found["til_fraction"].labels[3])
    assert np.isnan(found["til_density"].labels[3])
    assert np.isnan(found["tme_subtype"].labels).all()
    assert found["til_density"].labels[0] == FIELD_VALUES["til_density"].index("low")  # type: ignore[union-attr]


def test_what_cannot_be_trained_says_why() -> None:
    records = field_records(samples(), MilSettings())
    assert records["til_fraction"].trainable
    assert records["til_fraction"].n == 24
    assert records["til_density"].counts == {"high": 8, "moderate": 8, "low": 8}
    assert records["msi_status"].reason == "all 24 training labels are MSS"
    assert records["tme_subtype"].reason == "no training patient has a label"
    assert "10 are needed" in records["immune_score"].reason


def test_a_class_of_four_is_too_few() -> None:
    rare = samples()
    for n in range(4):
        rare[n] = rare[n].model_copy(update={"labels": rare[n].labels | {"msi_status": "MSI-H"}})
    assert "4 MSI-H, 20 MSS" in field_records(rare, MilSettings())["msi_status"].reason


def test_a_constant_number_is_named() -> None:
    assert (
        field_records(samples(til_fraction=0.5), MilSettings())["til_fraction"].reason
        == "all 24 training labels are 0.5"
    )


def test_a_field_that_was_asked_for_and_cannot_be_trained_is_an_error() -> None:
    with pytest.raises(CaseFileError, match="msi_status cannot be trained: all 24"):
        field_records(samples(), MilSettings(fields=("til_fraction", "msi_status")))
    bare = [s.model_copy(update={"labels": {}}) for s in samples()]
    with pytest.raises(CaseFileError, match="nor can any other field"):
        field_records(bare, MilSettings())


def test_fields_left_out_on_purpose_say_so() -> None:
    records = field_records(samples(), MilSettings(fields=("til_fraction",)))
    assert [n for n, r in records.items() if r.trainable] == ["til_fraction"]
    assert records["til_density"].reason == "it was left out on purpose"


def test_quantities_name_what_the_labels_are() -> None:
    stated = field_records(samples(), MilSettings(quantity="rna_score_minmax"))
    assert stated["til_fraction"].quantity == "rna_score_minmax"
    assert stated["til_density"].quantity == "rna_score_minmax_class"
    assert stated["immune_score"].quantity == "immune_rna_score_minmax"
    assert field_records(samples(), MilSettings())["til_fraction"].quantity == "undeclared"
    drawn = [s.model_copy(update={"origin": "synthetic"}) for s in samples()]
    found = field_records(drawn, MilSettings())
    assert found["til_fraction"].quantity == "synthetic_til_fraction"
    assert found["immune_phenotype"].quantity == "synthetic_immune_phenotype"


@given(st.lists(st.integers(0, 500), min_size=3, max_size=3).filter(any), st.floats(0, 1))
def test_weights_fall_with_counts_and_a_patient_weighs_1_on_average(
    counts: list[int], balance: float
) -> None:
    labels = np.repeat([0.0, 1.0, 2.0], counts)
    weights = class_weights(Target("til_density", labels), balance)
    assert (weights > 0).all()
    assert (weights * counts).sum() == pytest.approx(sum(counts))  # a patient weighs 1 on average
    seen = sorted((n, float(w)) for n, w in zip(counts, weights, strict=True) if n)
    assert [w for _, w in seen] == sorted((w for _, w in seen), reverse=True)
    if balance == 0:
        assert weights == pytest.approx(1)


def test_cut_points_come_from_the_labels_or_not_at_all() -> None:
    found = cut_points_of(samples())
    assert found is not None
    for sample in samples():
        share = sample.label("til_fraction")
        assert isinstance(share, float)
        assert found.density_class(share) == sample.label("til_density")
    assert cut_points_of(samples(til_density="low")) is None
    mixed = samples()
    mixed[0] = mixed[0].model_copy(update={"labels": mixed[0].labels | {"til_density": "high"}})
    assert cut_points_of(mixed) is None
