"""What engines see: every value is there, and every abstention is named as one."""

import re
from typing import Any

import pytest
import samples
from domain_strategies import instances
from hypothesis import HealthCheck, given, settings
from pages import words_of

from immunopath.domain.finding import Agreement, Opinion, TrustRow
from immunopath.domain.prediction import FIELD_VALUES, BiomarkerProfile, Morphometry
from immunopath.domain.report import CaseReport
from immunopath.reporting import document as doc
from immunopath.reporting.card_view import value_text
from immunopath.reporting.predicted_view import (
    agreement_grid,
    morphometry_rows,
    predicted_rows,
    prediction_section,
    summary_notes,
    trust_note,
)
from immunopath.reporting.text import number
from immunopath.reporting.view import document
from immunopath.reporting.words import FIELD_NAMES

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
PER_MM2 = ("lymphocytes_per_mm2", "lymphocytes_per_mm2_in_nests", "lymphocytes_per_mm2_outside")


def report(**changes: Any) -> CaseReport:
    return samples.full().model_copy(update=changes)


def cards(shown: CaseReport) -> doc.Cards:
    (block,) = prediction_section(shown).blocks
    assert isinstance(block, doc.Cards)
    return block


@few
@given(instances(BiomarkerProfile))
def test_every_field_has_a_row_or_stands_among_the_abstentions(profile: BiomarkerProfile) -> None:
    rows = predicted_rows(profile)
    said = [(FIELD_NAMES[key], value_text(f)) for key, f in profile.items() if not f.abstained]
    silent = [FIELD_NAMES[key] for key, f in profile.items() if f.abstained]
    assert [(row.label, row.value) for row in rows[: len(said)]] == said
    if silent:
        assert rows[-1] == doc.Pair("Abstains", ", ".join(silent), known=False)
    assert len(rows) == len(said) + bool(silent)


@few
@given(instances(BiomarkerProfile))
def test_cards_stand_in_contract_order_with_the_second_opinion_last(
    profile: BiomarkerProfile,
) -> None:
    block = cards(report(profile=profile))
    assert [card.key for card in block.items] == [*FIELD_VALUES, "phenotype_scorer"]


@few
@given(instances(BiomarkerProfile))
def test_what_all_fields_share_is_said_once_and_nothing_is_lost(profile: BiomarkerProfile) -> None:
    block = cards(report(profile=profile))
    for card in block.items[:-1]:
        assert not set(card.lines) & set(block.shared)
        labels = [row.label for row in (*card.lines, *block.shared)]
        assert {"Seen on", "Validation", "Trust gate", "Source"} <= set(labels)
        assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("informative", "text"),
    [
        (None, "The trust gate was not evaluated."),
        ((), "no field is informative; none takes part in triage"),
        (("msi_status",), "only MSI status passed"),
        (("msi_status", "til_density"), "only MSI status, TIL density passed"),
    ],
)
def test_the_trust_gate_in_one_sentence(informative: tuple[str, ...] | None, text: str) -> None:
    rows = tuple(
        TrustRow(field=key, informative=key in (informative or ()), reason="r")
        for key in FIELD_VALUES
    )
    assert text in trust_note(() if informative is None else rows)


def test_no_prediction_is_called_a_result() -> None:
    section = prediction_section(samples.full())
    assert "Not results" in section.note
    assert "confirm with a validated assay" in section.note


@few
@given(instances(Morphometry))
def test_every_count_is_shown_with_its_unit_or_as_not_determined(counts: Morphometry) -> None:
    rows = {row.label: row for row in morphometry_rows(counts)}
    assert rows["Nuclei"].value == str(counts.n_nuclei)
    assert rows["Lymphocyte-like nuclei"].value == str(counts.n_lymphocytes)
    assert rows["Tissue"].value == f"{counts.tissue_mm2:.3f} mm²"
    unsure = [row for row in rows.values() if row.value == "not determined"]
    optional = counts.model_dump(exclude={"n_nuclei", "n_lymphocytes", "tissue_mm2", "warnings"})
    assert len(unsure) == sum(value is None for value in optional.values())
    assert all(row.known is (row not in unsure) for row in rows.values())
    shown = " ".join(row.value for row in rows.values())
    for name in PER_MM2:
        value = getattr(counts, name)
        assert value is None or number(value) in shown
    if counts.median_nuclear_area_um2 is not None:
        assert rows["Median nuclear area"].value.endswith(" µm²")
    if counts.nest_mm2 is not None:
        assert rows["Nests"].value.endswith(" mm²")


def test_labels_of_densities_say_per_what() -> None:
    labels = [row.label for row in morphometry_rows(Morphometry(
        n_nuclei=1, n_lymphocytes=1, tissue_mm2=0.1, lymphocytes_per_mm2=10.0))]  # fmt: skip
    assert len([label for label in labels if "per mm²" in label]) == len(PER_MM2)


@pytest.mark.parametrize(
    ("plausible", "text"), [(True, "fits"), (False, "speaks against"), (None, "not determined")]
)
def test_the_resolution_check_is_worded(plausible: bool | None, text: str) -> None:
    counts = Morphometry(n_nuclei=1, n_lymphocytes=1, tissue_mm2=0.1, mpp_plausible=plausible)
    assert text in morphometry_rows(counts)[-1].value


@few
@given(instances(Agreement))
def test_every_opinion_is_in_the_table(row: Agreement) -> None:
    (shown,) = agreement_grid(report(agreement=(row,))).rows
    for opinion in row.opinions:
        if opinion.value is None:
            assert f"{opinion.engine}: no opinion" in shown[1]
            assert opinion.reason in shown[1]
        else:
            assert f"{opinion.engine}: {opinion.value}" in shown[1]


def test_disagreement_cannot_be_overlooked_and_one_opinion_confirms_nothing() -> None:
    states = [row[2] for row in agreement_grid(samples.full()).rows]
    assert states == ["DISAGREE", "one opinion only: nothing is confirmed", "no opinion"]
    both = (Opinion(engine="a", value="x"), Opinion(engine="b", value="x"))
    agreed = Agreement(field="til_density", opinions=both, state="agree")
    assert agreement_grid(report(agreement=(agreed,))).rows[0][2] == "agree"


def test_a_missing_number_never_reads_as_zero() -> None:
    bare = Morphometry(n_nuclei=5, n_lymphocytes=2, tissue_mm2=0.01)
    shown = [row.value for row in morphometry_rows(bare) if not row.known]
    assert len(shown) == 9
    assert not [text for text in shown if re.search(r"\d", text)]
    assert not [word for word in words_of(cards(samples.partial())) if word == "0.00"]


def test_the_box_says_once_what_its_numbers_do_not_mean() -> None:
    said = summary_notes(samples.profile())
    assert said.startswith("The 90 % interval covers sampling and the stated correction, not class")
    assert "not the stromal TIL score (sTIL)" in said
    assert not summary_notes(samples.unknown_profile("none"))
    texts = words_of(document(samples.full()))
    assert len([text for text in texts if "sTIL" in text]) == 1
    model = samples.SOURCE.model_copy(update={"kind": "model"})
    til = samples.profile().til_fraction.model_copy(update={"source": model, "quantity": "rna"})
    assert not summary_notes(samples.profile().model_copy(update={"til_fraction": til}))


def test_agreement_is_not_taken_for_evidence() -> None:
    assert "weak evidence" in agreement_grid(samples.full()).caption
