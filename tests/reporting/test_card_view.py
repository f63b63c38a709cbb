"""Cards of predicted fields: nothing of a prediction is left out, and nothing looks measured."""

from typing import Any

import pytest
import samples
from domain_strategies import instances, predictions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.domain.finding import TrustRow
from immunopath.domain.outcome import Abstained, Failed, Ok, Unavailable
from immunopath.domain.prediction import FIELD_VALUES, FieldPrediction, PhenotypeScores
from immunopath.domain.prediction import ValidationCard as Validation
from immunopath.domain.provenance import Provenance
from immunopath.reporting.card_view import (
    ABSTAINS,
    field_card,
    interval_text,
    phenotype_card,
    source_text,
    value_text,
)
from immunopath.reporting.document import Card
from immunopath.reporting.text import share
from immunopath.reporting.words import FIELD_NAMES, field_name

SOURCE = Provenance(engine="medgemma", revision="v31", kind="model")
MEASURED = Provenance(engine="embedded-predictor", revision="2")
few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def field(value: Any = "high", **more: Any) -> FieldPrediction[Any]:
    kind = FieldPrediction[float] if isinstance(value, float) else FieldPrediction[str]
    base = {"quantity": "some_quantity", "n_tiles": 3, "qc_pass": True, "source": SOURCE}
    return kind(**base | {"value": value, "abstained": value is None} | more)


def lines(card: Card) -> dict[str, str]:
    return {row.label: row.value for row in card.lines}


def test_every_field_has_a_name_for_readers() -> None:
    assert set(FIELD_NAMES) == set(FIELD_VALUES)
    assert len(set(FIELD_NAMES.values())) == len(FIELD_NAMES)
    assert field_name("some_new_field") == "some new field"


@pytest.mark.parametrize("name", sorted(FIELD_VALUES))
@few
@given(data=st.data())
def test_a_card_shows_all_that_a_prediction_says(name: str, data: st.DataObject) -> None:
    made = data.draw(predictions(name))
    card = field_card(name, made, None)
    assert card.abstained is made.abstained
    said = lines(card)
    if made.abstained:
        assert card.value == ABSTAINS
        assert said["Why no value"] == made.reason
        assert "Note" not in said
    else:
        shown = made.value if isinstance(made.value, str) else share(made.value)
        assert card.value.startswith(shown)
        assert ("hint only" in card.value) is made.hint
    table = made.probabilities or made.prior
    if table:
        assert {bar.label: bar.share for bar in card.bars} == table
        assert [bar.text for bar in card.bars] == [share(value) for value in table.values()]
    failed = not made.qc_pass and made.n_tiles > 0
    assert ("did not pass" in said.get("Quality control", "")) is failed
    assert f"{made.n_tiles or 'no'} tile" in said["Seen on"]
    assert made.source.engine in said["Source"]
    assert ("Out-of-distribution score" in said) is (made.ood_score is not None)
    before = "Before calibration" if made.calibrated else "Before correction"
    assert (before in said) is (made.raw_value not in (None, ""))


def test_titles_tell_probabilities_priors_and_scales_apart() -> None:
    table = {"high": 0.7, "low": 0.3}
    titles = [
        field_card("cd274_expression", each, None).bars_title
        for each in (
            field(probabilities=table, calibrated=True),
            field(probabilities=table),
            field(probabilities=table, source=MEASURED),
            field(None, prior=table, reason="r"),
            field(0.4),
            field(),
        )
    ]
    assert titles == [
        "Probabilities, calibrated",
        "Probabilities, uncalibrated",
        "Shares of bootstrap resamples, not probabilities",
        "Population prior, not a prediction for this case",
        "On a scale from 0 to 1",
        "",
    ]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (field(0.4, interval=(0.25, 0.5), coverage=0.9), "90 % interval 0.25–0.50, uncalibrated"),
        (field(0.4, interval=(0.25, 0.5), calibrated=True), "interval 0.25–0.50, calibrated"),
        (field(0.4, interval=(0.25, 0.5), source=MEASURED), "interval 0.25–0.50"),
        (
            field(
                probabilities={"high": 0.7, "low": 0.3},
                calibrated=True,
                prediction_set=("high",),
                coverage=0.9,
            ),
            "p 0.70, calibrated; 90 % set: high",
        ),
        (field(prediction_set=("high", "low"), coverage=0.95), "95 % set: high, low"),
        (field(probabilities={"high": 0.7, "low": 0.3}), "p 0.70, uncalibrated"),
        (field(probabilities={"high": 0.7, "low": 0.3}, calibrated=True), "p 0.70, calibrated"),
        (field(probabilities={"high": 0.7, "low": 0.3}, source=MEASURED), "0.70 of resamples"),
        (field(), ""),
        (field(0.4), ""),
        (field(None, reason="r", prior={"high": 0.5, "low": 0.5}), ""),
    ],
)
def test_uncertainty_is_said_as_far_as_it_is_known(made: Any, text: str) -> None:
    assert interval_text(made) == text


@pytest.mark.parametrize(
    ("high", "moderate", "text"),
    [
        (0.45, 0.44, "high, tied with moderate"),
        (0.46, 0.44, "high"),
        (1 / 3, 1 / 3, "high, tied with moderate and low"),
    ],
)
def test_classes_within_a_hundredth_are_tied(high: float, moderate: float, text: str) -> None:
    table = {"high": high, "moderate": moderate, "low": 1 - high - moderate}
    assert value_text(field(probabilities=table)) == text


def test_an_interval_is_drawn_and_written() -> None:
    card = field_card("til_fraction", field(0.4, interval=(0.2, 0.6), coverage=0.9), None)
    assert card.span == (0.2, 0.6)
    assert lines(card)["Uncertainty"] == "90 % interval 0.20–0.60, uncalibrated"


def test_a_calibrated_card_names_its_set_its_calibration_and_what_the_value_was() -> None:
    made = field(
        "low",
        raw_value="high",
        probabilities={"high": 0.45, "low": 0.55},
        prediction_set=("high", "low"),
        coverage=0.9,
        calibrated=True,
        source=SOURCE.model_copy(update={"calibrator_digest": "ef" * 32}),
    )
    said = lines(field_card("cd274_expression", made, None))
    assert said["Uncertainty"] == "p 0.55, calibrated; 90 % set: high, low"
    assert said["Before calibration"] == "high"
    assert "calibration efefefefefef" in said["Source"]


@pytest.mark.parametrize(
    ("key", "word"), [("cd274_expression", "never PD-L1 TPS"), ("msi_status", "Never an MSI")]
)
def test_two_fields_carry_a_caution_whatever_they_say(key: str, word: str) -> None:
    for made in (field(), field(None, reason="r")):
        assert word in lines(field_card(key, made, None))["Caution"]
    assert "Caution" not in lines(field_card("til_density", field(), None))


def test_trust_is_said_with_its_reason_or_said_to_be_missing() -> None:
    gate = TrustRow(field="til_density", informative=False, reason="no card")
    assert lines(field_card("til_density", field(), gate))["Trust gate"] == (
        "not informative: no card"
    )
    opened = gate.model_copy(update={"informative": True})
    assert lines(field_card("til_density", field(), opened))["Trust gate"].startswith("informative")
    assert lines(field_card("til_density", field(), None))["Trust gate"] == "not evaluated"


def test_the_reason_of_an_abstention_is_not_printed_a_second_time() -> None:
    gate = TrustRow(field="msi_status", informative=False, reason="abstained: cannot be seen")
    said = lines(field_card("msi_status", field(None, reason="cannot be seen"), gate))
    assert said["Why no value"] == "cannot be seen"
    assert said["Trust gate"] == "not informative: abstained"


def test_a_copy_of_the_til_fraction_says_so() -> None:
    made = field(0.4, hint=True, quantity="hint_equal_to_lymphocyte_share")
    assert value_text(made) == "0.40, hint: equals the TIL fraction"


def test_a_validation_stands_beside_what_guessing_reaches() -> None:
    card = Validation(cohort="CPTAC", n=108, metric="AUROC", value=0.71, ci_low=0.6, ci_high=0.8,
                      null_value=0.5, external=True, ece=0.04)  # fmt: skip
    text = lines(field_card("til_density", field(validation=card), None))["Validation"]
    assert text == (
        "AUROC 0.71 (0.60–0.80; guessing 0.50; cancer type and site alone not known), external "
        "cohort CPTAC, n = 108 (how many were left unanswered is not stated), ECE 0.04"
    )
    more = card.model_copy(update={"labelled": 144, "clinical_value": 0.58})
    text = lines(field_card("til_density", field(validation=more), None))["Validation"]
    assert text == (
        "AUROC 0.71 (0.60–0.80; guessing 0.50; cancer type and site alone 0.58), external cohort "
        "CPTAC, n = 108 of 144 (0.25 without an answer), ECE 0.04"
    )
    none = lines(field_card("til_density", field(), None))["Validation"]
    assert none == "none: not informative"


@few
@given(instances(Provenance))
def test_every_known_part_of_the_origin_is_in_the_source_line(source: Provenance) -> None:
    text = source_text(source)
    assert text.startswith(f"{source.engine} {source.revision} ({source.kind})")
    for word, value in (
        ("weights", source.weights_digest), ("prompt", source.prompt_digest),
        ("knowledge", source.knowledge_version), ("rule", source.rule_id),
        ("calibration", (source.calibrator_digest or "")[:12]),
    ):  # fmt: skip
        assert not value or f"{word} {value}" in text
    assert ("µm/px" in text) is (source.mpp is not None)


def test_digests_are_short_and_scales_say_how_they_are_known() -> None:
    source = SOURCE.model_copy(
        update={
            "weights_digest": "ab" * 32,
            "mpp": 0.5,
            "mpp_source": "assumed",
            "tile_ids": ("a",),
        }
    )
    assert source_text(source) == (
        "medgemma v31 (model), weights abababababab, "
        "resampled to 0.5 µm/px; scale of the image assumed: nobody stated it, 1 tile"
    )


@few
@given(instances(PhenotypeScores))
def test_the_second_opinion_shows_scores_features_and_reason(scores: PhenotypeScores) -> None:
    report = samples.full().model_copy(update={"phenotype": Ok[PhenotypeScores](value=scores)})
    card = phenotype_card(report)
    assert card.value == (scores.value or ABSTAINS)
    assert {bar.label: bar.share for bar in card.bars} == scores.scores
    assert ("uncalibrated" in card.bars_title) is (not scores.calibrated)
    said = lines(card)
    if scores.reason:
        assert said["Why no value" if scores.abstained else "Note"] == scores.reason
    if scores.features:
        assert len(said["Measured on"].split(", ")) >= len(scores.features)


@pytest.mark.parametrize(
    ("outcome", "word", "reason"),
    [
        (Abstained(reason="too small"), "abstained", "too small"),
        (Unavailable(reason="no weights"), "unavailable", "no weights"),
        (Failed(error_id="E", message="broke"), "failed", "E: broke"),
    ],
)
def test_without_a_second_opinion_the_card_says_why(outcome: Any, word: str, reason: str) -> None:
    card = phenotype_card(samples.full().model_copy(update={"phenotype": outcome}))
    assert (card.value, card.abstained, card.bars) == (word, True, ())
    assert lines(card) == {"Why no value": reason}


def test_a_value_is_never_shown_for_an_abstention() -> None:
    assert value_text(field(None, reason="r")) == ABSTAINS
    assert value_text(field(0.4, hint=True)) == "0.40, hint only"


def test_quality_control_of_no_tile_has_not_failed() -> None:
    """An engine that did not run saw no tile, so nothing that it saw was found wanting."""
    silent = field(None, reason="r", n_tiles=0, qc_pass=False)
    unseen = lines(field_card("til_density", silent, None))
    assert "Quality control" not in unseen
    assert unseen["Seen on"] == "no tile"
    one = silent.model_copy(update={"n_tiles": 1})
    assert lines(field_card("til_density", one, None))["Quality control"] == "did not pass"
