"""Predictions: probabilities are probabilities, and an abstention has no value."""

from typing import Any

import pytest
from domain_strategies import instances, predictions, shares_over
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    CutPoints,
    FieldPrediction,
    FieldVote,
    Morphometry,
    Neighbour,
    PhenotypeScores,
    ValidationCard,
)
from immunopath.domain.provenance import Provenance

SOURCE = Provenance(engine="e", revision="1")
BASE: dict[str, Any] = {
    "quantity": "q", "n_tiles": 1, "qc_pass": True, "abstained": False, "source": SOURCE,
}  # fmt: skip
SILENT = BASE | {"value": None, "abstained": True, "reason": "cannot be seen"}
ORDER = (
    "cd274_expression", "msi_status", "tme_subtype", "til_fraction", "til_density",
    "immune_phenotype", "cd8_infiltration", "immune_score",
)  # fmt: skip
few = settings(max_examples=25, deadline=None)


def word(value: str | None = "high", **more: Any) -> FieldPrediction[str]:
    return FieldPrediction[str](**BASE | {"value": value} | more)


def profile(**changes: Any) -> BiomarkerProfile:
    empty = {
        name: (FieldPrediction[str] if allowed else FieldPrediction[float])(**SILENT)
        for name, allowed in FIELD_VALUES.items()
    }
    return BiomarkerProfile(**empty | changes)


def test_the_eight_fields_in_published_order() -> None:
    assert tuple(FIELD_VALUES) == ORDER == tuple(BiomarkerProfile.model_fields)
    assert tuple(name for name, _ in profile().items()) == ORDER
    assert list(profile().model_dump()) == list(ORDER)


@pytest.mark.parametrize(("value", "abstained"), [(None, False), ("high", True)])
def test_a_value_is_absent_exactly_when_abstained(value: str | None, abstained: bool) -> None:
    with pytest.raises(ValidationError, match="exactly when abstained"):
        word(value, abstained=abstained, reason="r")
    with pytest.raises(ValidationError, match="exactly when abstained"):
        PhenotypeScores(scores={}, value=value, abstained=abstained, source=SOURCE)


def test_an_abstention_gives_its_reason() -> None:
    with pytest.raises(ValidationError, match="gives its reason"):
        FieldPrediction[str](**SILENT | {"reason": ""})


@pytest.mark.parametrize("table", ["probabilities", "prior"])
@pytest.mark.parametrize(
    "shares",
    [
        {"high": 0.5, "low": 0.4},
        {"high": 0.7, "low": 0.4},
        {"high": 1.5, "low": -0.5},
        {"high": -0.0001, "low": 1.0001},
        {"high": float("nan"), "low": 0.5},
        {"high": float("inf"), "low": 0.0},
        {},
    ],
    ids=str,
)
def test_a_table_that_is_no_distribution_is_refused(table: str, shares: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        word(**{table: shares})


@pytest.mark.parametrize(
    "shares",
    [{"inflamed": 0.9, "excluded": 0.3, "desert": -0.2}, {"inflamed": 0.4, "excluded": 0.4}],
    ids=str,
)
def test_phenotype_scores_are_a_distribution_too(shares: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="scores"):
        PhenotypeScores(scores=shares, value="inflamed", abstained=False, source=SOURCE)


def test_a_phenotype_needs_its_own_score() -> None:
    with pytest.raises(ValidationError, match="'desert' has no score"):
        PhenotypeScores(scores={"inflamed": 1.0}, value="desert", abstained=False, source=SOURCE)
    silent = PhenotypeScores(scores={}, value=None, abstained=True, reason="r", source=SOURCE)
    assert silent.scores == {}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_an_interval_is_low_then_high(ends: list[float]) -> None:
    low, high = ends
    if low <= high:
        assert word(interval=(low, high)).interval == (low, high)
    else:
        with pytest.raises(ValidationError, match="low, high"):
            word(interval=(low, high))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("coverage", 0.0), ("coverage", 1.0), ("coverage", 90.0), ("n_tiles", -1),
        ("tile_disagreement", 1.2), ("tile_disagreement", -0.1), ("scope", "patient"),
        ("ood_score", float("nan")), ("interval", (0.1, float("nan"))), ("interval", (0.1,)),
    ],
)  # fmt: skip
def test_impossible_numbers_are_refused(name: str, bad: object) -> None:
    with pytest.raises(ValidationError, match=name):
        word(**{name: bad})


def test_nothing_is_validated_or_calibrated_by_default() -> None:
    field = word()
    assert field.validation is None
    assert field.calibrated is False
    assert field.hint is False
    assert field.prior is None
    assert field.scope == "field"


@pytest.mark.parametrize("name", [name for name, allowed in FIELD_VALUES.items() if allowed])
def test_a_word_outside_the_contract_is_refused(name: str) -> None:
    for value in FIELD_VALUES[name] or ():
        assert getattr(profile(**{name: word(value)}), name).value == value
    for value in ("HIGH", "unknown", "", "hot"):
        with pytest.raises(ValidationError, match=name):
            profile(**{name: word(value)})


@pytest.mark.parametrize("name", ["til_fraction", "immune_score"])
@given(st.floats(-2, 2))
def test_a_number_outside_the_unit_interval_is_refused(name: str, value: float) -> None:
    field = FieldPrediction[float](**BASE | {"value": value})
    if 0 <= value <= 1:
        assert getattr(profile(**{name: field}), name).value == value
    else:
        with pytest.raises(ValidationError, match="outside"):
            profile(**{name: field})


@few
@given(st.data())
def test_probabilities_cover_exactly_the_allowed_values(data: st.DataObject) -> None:
    table = data.draw(shares_over(("inflamed", "excluded", "desert")))
    field = word("desert", probabilities=table)
    assert profile(immune_phenotype=field).immune_phenotype.probabilities == table
    short = word("desert", probabilities={"inflamed": 0.0, "desert": 1.0})
    with pytest.raises(ValidationError, match="must cover"):
        profile(immune_phenotype=short)


@few
@given(predictions("til_fraction"), predictions("msi_status"))
def test_fields_cannot_change_places(number: Any, name: Any) -> None:
    assert profile(til_fraction=number, msi_status=name).til_fraction == number
    if not number.abstained:
        with pytest.raises(ValidationError, match="msi_status"):
            profile(msi_status=number)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 2))
def test_cut_points_part_the_line_in_three(one: float, other: float, value: float) -> None:
    cuts = CutPoints(low=min(one, other), high=max(one, other))
    expected = "low" if value < cuts.low else "moderate" if value < cuts.high else "high"
    assert cuts.density_class(value) == expected
    assert cuts.density_class(cuts.high) == "high"


@pytest.mark.parametrize(
    ("name", "bad"),
    [("n_nuclei", -1), ("n_lymphocytes", -1), ("tissue_mm2", -0.1), ("raw_share", 1.1),
     ("corrected_share", -0.1), ("morisita_horn", 1.01), ("lymphocytes_per_mm2", -1)],
)  # fmt: skip
def test_counts_are_counts(name: str, bad: float) -> None:
    good = {"n_nuclei": 10, "n_lymphocytes": 3, "tissue_mm2": 0.2}
    assert Morphometry.model_validate(good).lymphocytes_per_mm2 is None
    with pytest.raises(ValidationError, match=name):
        Morphometry.model_validate(good | {name: bad})


@pytest.mark.parametrize(("similarity", "fits"), [(1.00005, True), (-1, True), (1.1, False)])
def test_a_cosine_is_a_cosine(similarity: float, fits: bool) -> None:
    """A hair beyond 1 is rounding of float32; more is another quantity."""
    made = {"neighbour_id": "n", "similarity": similarity, "title": "", "tissue": "",
            "licence": "", "attribution": ""}  # fmt: skip
    if fits:
        assert Neighbour.model_validate(made).labels == {}
    else:
        with pytest.raises(ValidationError, match="similarity"):
            Neighbour.model_validate(made)


def test_no_votes_is_no_opinion_by_name() -> None:
    with pytest.raises(ValidationError, match="value"):
        FieldVote.model_validate({"field": "til_density", "n_votes": 0})


def test_a_validation_needs_patients() -> None:
    card = {"cohort": "c", "n": 0, "metric": "AUROC", "value": 0.7, "ci_low": 0.6,
            "ci_high": 0.8, "null_value": 0.5, "external": True}  # fmt: skip
    with pytest.raises(ValidationError, match="n"):
        ValidationCard.model_validate(card)
    assert ValidationCard.model_validate(card | {"n": 40}).ece is None


@few
@given(instances(BiomarkerProfile))
def test_a_profile_is_frozen_to_the_last_field(made: BiomarkerProfile) -> None:
    for name, field in made.items():
        with pytest.raises(ValidationError, match="frozen"):
            setattr(made, name, field)
        with pytest.raises(ValidationError, match="frozen"):
            field.value = None
