"""From an evaluation to the trust gate: open only with evidence."""

from functools import cache

import pytest
from evaluation_cases import cohort, of_split, same, seeing

from immunopath.domain.errors import InputError
from immunopath.domain.prediction import FieldPrediction
from immunopath.domain.provenance import Provenance
from immunopath.guidelines.trust import trust_gate
from immunopath.training.evaluation.cards import validation_file
from immunopath.training.evaluation.evaluate import Evaluation, evaluate_sets
from immunopath.training.evaluation.resample import Plan

FEW = Plan(draws=200)


@cache
def evaluated(origin: str, *, collapsed: bool = False) -> Evaluation:
    samples = cohort(120, origin=origin)  # type: ignore[arg-type]
    test = of_split(samples, "test")
    answers = same(test, til_fraction=0.4, tme_subtype="D") if collapsed else seeing(test)
    return evaluate_sets(samples, answers, cohort="another hospital", plan=FEW)


def gate(found: Evaluation, name: str, *, external: bool) -> tuple[bool, str]:
    card = validation_file(found, external=external).cards[name]
    shared = {
        "quantity": "q", "n_tiles": 30, "qc_pass": True, "abstained": False, "validation": card,
        "source": Provenance(engine="e", revision="1"),
    }  # fmt: skip
    field: FieldPrediction[str] | FieldPrediction[float]
    if name == "til_fraction":
        field = FieldPrediction[float].model_validate({**shared, "value": 0.4})
    else:
        field = FieldPrediction[str].model_validate({**shared, "value": "D"})
    return trust_gate(name, field)


def test_the_gate_opens_for_external_evidence_and_for_nothing_else() -> None:
    real = evaluated("rna")
    assert gate(real, "til_fraction", external=True)[0]
    shut, why = gate(real, "til_fraction", external=False)
    assert (shut, "not externally" in why) == (False, True)
    assert not gate(evaluated("rna", collapsed=True), "til_fraction", external=True)[0]
    assert not gate(evaluated("rna", collapsed=True), "tme_subtype", external=True)[0]


def test_rendered_images_never_open_it() -> None:
    synthetic = evaluated("synthetic")
    with pytest.raises(InputError, match="no external validation"):
        validation_file(synthetic, external=True)
    assert not gate(synthetic, "til_fraction", external=False)[0]


def test_the_metric_of_each_kind_and_what_guessing_reaches() -> None:
    cards = validation_file(evaluated("rna")).cards
    assert (cards["cd274_expression"].metric, cards["cd274_expression"].null_value) == (
        "auroc",
        0.5,
    )
    assert cards["til_fraction"].metric == "spearman"
    assert cards["til_fraction"].ece is None
    tme = cards["tme_subtype"]
    counts = evaluated("rna").main.fields["tme_subtype"].counts
    assert tme.metric == "accuracy"
    assert tme.null_value == pytest.approx(max(counts.values()) / 120, abs=1e-4)
    assert tme.ece is not None
    assert "msi_status" not in cards
    assert "cd8_infiltration" not in cards


def test_a_field_that_ignores_the_image_has_no_card_however_good_it_is() -> None:
    """E.g. the cancer type in the prompt: evidence of the prompt, not of the image."""
    samples = cohort(120, origin="rna")
    test = of_split(samples, "test")
    answers = seeing(test)
    blind = {name: answers.model_copy(update={"control": name}) for name in ("blank", "shuffled")}
    found = evaluate_sets(samples, answers, blind, plan=FEW)
    assert (found.value("til_fraction", "spearman") or 0) > 0.8
    assert validation_file(found, external=True).cards == {}


def test_a_card_says_what_needs_no_image_and_who_was_left_out() -> None:
    found = evaluated("rna")
    card = validation_file(found).cards["til_fraction"]
    assert (card.labelled, card.n, card.silent_share) == (120, 120, 0.0)
    clinical = found.value("til_fraction", "spearman", "clinical")
    assert clinical is not None
    assert card.clinical_value == pytest.approx(clinical, abs=1e-4)


def test_the_clinical_figure_is_over_the_patients_that_were_answered() -> None:
    samples = cohort(120, origin="rna")
    test = of_split(samples, "test")
    some = seeing(test)
    some = some.model_copy(update={"answers": some.answers[:80]})
    found = evaluate_sets(samples, some, plan=FEW)
    card = validation_file(found).cards["til_fraction"]
    assert (card.labelled, card.n) == (120, 80)
    assert card.silent_share == pytest.approx(1 / 3)
    asked = {answer.patient_id for answer in some.answers}
    kept = tuple(s for s in samples if s.split != "test" or s.patient_id in asked)
    alone = evaluate_sets(kept, some, plan=FEW).value("til_fraction", "spearman", "clinical")
    assert alone is not None
    assert card.clinical_value == pytest.approx(alone, abs=1e-4)


def test_what_cancer_type_and_site_know_as_well_opens_no_gate() -> None:
    samples = [
        s.model_copy(update={"site": f"S{int(10 * float(s.label('til_fraction') or 0))}"})
        for s in cohort(120, origin="rna")
    ]
    test = of_split(samples, "test")
    found = evaluate_sets(samples, seeing(test, 0.2), plan=FEW)
    assert (found.main.fields["til_fraction"].metrics["spearman"].low or 0) > 0.5
    opened, why = gate(found, "til_fraction", external=True)
    assert not opened
    assert "cancer type and site alone" in why


def test_a_cohort_of_test_patients_alone_does_not_know_the_clinical_figure_and_says_so() -> None:
    test = of_split(cohort(120, origin="rna"), "test")
    found = evaluate_sets(test, seeing(test), plan=FEW)
    assert validation_file(found, external=True).cards["til_fraction"].clinical_value is None
    opened, why = gate(found, "til_fraction", external=True)
    assert opened
    assert "cancer type and site alone reach is not known" in why


def test_a_split_that_training_used_gives_no_card() -> None:
    samples = cohort(120, origin="rna")
    found = evaluate_sets(samples, seeing(of_split(samples, "val")), split="val", plan=FEW)
    for external in (False, True):
        with pytest.raises(InputError, match="split val are no validation"):
            validation_file(found, external=external)
