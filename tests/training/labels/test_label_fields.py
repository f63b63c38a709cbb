import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from immunopath.domain.errors import LabelError, OneClassField
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.labels.fields import (
    LabelConstants,
    PatientScores,
    Span,
    Variant,
    fit_constants,
    label_fields,
    til_fraction,
)
from immunopath.training.samples import Sample

SCORE = st.floats(-4, 4)
SCORES = st.builds(
    PatientScores,
    til=SCORE,
    cd8=SCORE,
    ifng=SCORE,
    cd274=st.floats(0, 12),
    msi=st.sampled_from(["MSI-H", "MSS", None]),
    tme=st.sampled_from(["IE", "IE/F", "F", "D", None]),
)
VARIANT = st.sampled_from(["card", "run-v3.1"])


def patient(til: float, cd8: float = 0.0, cd274: float = 1.0) -> PatientScores:
    return PatientScores(til=til, cd8=cd8, ifng=0.0, cd274=cd274)


V31 = LabelConstants(
    n=939,
    cd274_median=3.154,
    til_median=0.0,
    cd8_median=0.0,
    til=Span(low=-1.965, high=2.759),
    immune=Span(low=-2.0, high=2.5),
)
"""The constants that the published run printed (rounded as printed)."""


def test_the_cuts_of_the_published_run_come_out() -> None:
    run, card = V31.cut_points("run-v3.1"), V31.cut_points("card")
    assert (round(run.low, 3), round(run.high, 3)) == (0.310, 0.522)
    assert (round(card.low, 3), round(card.high, 3)) == (0.378, 0.622)


@pytest.mark.parametrize(
    ("til", "card", "run"), [(-1.965, 0.123, 0.0), (0.0, 0.5, 0.416), (2.759, 0.94, 1.0)]
)
def test_the_two_variants_give_the_published_numbers(til: float, card: float, run: float) -> None:
    assert label_fields(patient(til), V31, "card")["til_fraction"] == pytest.approx(card, abs=5e-4)
    assert label_fields(patient(til), V31, "run-v3.1")["til_fraction"] == run


@pytest.mark.parametrize(
    ("til", "cd8", "density", "cd8_class", "phenotype"),
    [
        (0.5, 0.49, "high", "moderate", "inflamed"),
        (0.0, -0.51, "moderate", "low", "excluded"),
        (-0.5, 0.5, "moderate", "high", "desert"),
        (-0.501, -0.5, "low", "moderate", "desert"),
    ],
)
def test_the_cuts_belong_to_the_upper_class(
    til: float, cd8: float, density: str, cd8_class: str, phenotype: str
) -> None:
    fields = label_fields(patient(til, cd8), V31)
    assert fields["til_density"] == density
    assert fields["cd8_infiltration"] == cd8_class
    assert fields["immune_phenotype"] == phenotype


def test_the_median_itself_is_high() -> None:
    assert label_fields(patient(0, cd274=3.154), V31)["cd274_expression"] == "high"
    assert label_fields(patient(0, cd274=3.153), V31)["cd274_expression"] == "low"


@given(SCORES, VARIANT)
def test_fields_are_always_a_valid_sample_in_contract_order(
    scores: PatientScores, variant: Variant
) -> None:
    fields = label_fields(scores, V31, variant)
    assert tuple(fields) == tuple(FIELD_VALUES)
    assert Sample(patient_id="p", labels=fields, origin="rna").labels == fields


@given(SCORE, VARIANT)
def test_the_cut_points_agree_with_the_density_class(til: float, variant: Variant) -> None:
    """On the scale before rounding; min-max is clipped, but its cuts lie inside."""
    exact = til_fraction(til, V31, variant)
    cuts = V31.cut_points(variant)
    if min(abs(exact - cuts.low), abs(exact - cuts.high)) > 1e-9:
        assert cuts.density_class(exact) == label_fields(patient(til), V31, variant)["til_density"]


@given(SCORES)
def test_unknown_calls_stay_unknown(scores: PatientScores) -> None:
    fields = label_fields(scores, V31)
    assert (fields["msi_status"], fields["tme_subtype"]) == (scores.msi, scores.tme)


@given(st.lists(SCORES, min_size=2, max_size=12), st.lists(SCORES, max_size=6))
def test_constants_do_not_see_patients_outside_the_training_split(
    train: list[PatientScores], others: list[PatientScores]
) -> None:
    scores = {f"t{i}": s for i, s in enumerate(train)}
    try:
        alone = fit_constants(scores, list(scores))
    except OneClassField:
        return
    more = scores | {f"o{i}": s for i, s in enumerate(others)}
    assert fit_constants(more, list(scores)) == alone


@given(st.lists(SCORES, min_size=2, max_size=12))
def test_constants_survive_json_bit_for_bit(train: list[PatientScores]) -> None:
    scores = {str(i): s for i, s in enumerate(train)}
    try:
        fitted = fit_constants(scores, scores)
    except OneClassField:
        return
    assert LabelConstants.model_validate_json(fitted.model_dump_json()) == fitted
    assert LabelConstants.model_validate(json.loads(json.dumps(fitted.model_dump()))) == fitted


@given(SCORE, SCORE, VARIANT)
def test_a_higher_score_never_gives_a_lower_fraction(
    one: float, other: float, variant: Variant
) -> None:
    low, high = sorted((one, other))
    assert til_fraction(low, V31, variant) <= til_fraction(high, V31, variant)


def test_the_sigmoid_does_not_overflow() -> None:
    assert til_fraction(-1e6, V31, "card") == 0.0
    assert til_fraction(1e6, V31, "card") == 1.0


def test_a_score_outside_the_training_range_is_clipped() -> None:
    assert label_fields(patient(99.0), V31)["til_fraction"] == 1.0
    assert label_fields(patient(-99.0), V31)["til_fraction"] == 0.0


def test_nan_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="til"):
        patient(math.nan)


def test_a_training_patient_without_scores_is_named() -> None:
    with pytest.raises(LabelError, match=r"1 training patient has no scores \(b\)"):
        fit_constants({"a": patient(0)}, ["a", "b"])


def test_equal_scores_everywhere_are_an_error() -> None:
    with pytest.raises(OneClassField, match="cd274 score is 1 for all 2"):
        fit_constants({"a": patient(0), "b": patient(1)}, ["a", "b"])


def test_an_unknown_variant_is_an_error() -> None:
    with pytest.raises(LabelError, match=r"card or run-v3\.1"):
        label_fields(patient(0), V31, "v9")  # type: ignore[arg-type]
