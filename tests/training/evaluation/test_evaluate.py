"""The whole evaluation: baselines, alarm, differences, groups."""

import json
from typing import Any

import numpy as np
import pytest
from evaluation_cases import cohort, of_split, same, seeing

from immunopath.domain.errors import CaseFileError, InputError
from immunopath.training.evaluation.baselines import swapped
from immunopath.training.evaluation.evaluate import EXPECTED, Evaluation, evaluate_sets
from immunopath.training.evaluation.groups import large_enough
from immunopath.training.evaluation.markdown import render_markdown
from immunopath.training.evaluation.model_card import render_card
from immunopath.training.evaluation.page.html import render_page
from immunopath.training.evaluation.resample import Plan
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet
from immunopath.training.samples import Sample

FEW = Plan(draws=100)
SAMPLES = cohort()
TEST = of_split(SAMPLES, "test")


def flat(found: Evaluation) -> str:
    return found.model_dump_json()


@pytest.fixture(scope="module")
def good() -> Evaluation:
    controls = {
        "blank": same(TEST, "blank", til_fraction=0.4, tme_subtype="D", cd274_expression="low"),
        "shuffled": seeing(TEST, 0.4, 9, "shuffled"),
    }
    return evaluate_sets(SAMPLES, seeing(TEST), controls, cohort="made up", plan=FEW)


@pytest.fixture(scope="module")
def collapsed() -> Evaluation:
    one = {"til_fraction": 0.39, "tme_subtype": "D", "cd274_expression": "low", "msi_status": "MSS"}
    controls = {name: same(TEST, name, **one) for name in ("blank", "shuffled")}  # type: ignore[arg-type]
    return evaluate_sets(SAMPLES, same(TEST, **one), controls, plan=FEW)  # type: ignore[arg-type]


def test_a_predictor_that_sees_has_skill_and_no_alarm(good: Evaluation) -> None:
    assert (good.value("til_fraction", "spearman") or 0) > 0.8
    assert (good.value("til_fraction", "mae_skill") or 0) > 0.5
    assert (good.value("tme_subtype", "balanced_accuracy") or 0) > 0.7
    assert not good.alarm.raised
    assert good.alarm.fields["tme_subtype"].image == "depends"
    assert good.value("til_fraction", "spearman", "blank") == 0.0


def test_a_constant_has_skill_0_and_raises_the_alarm(collapsed: Evaluation) -> None:
    best = evaluate_sets(SAMPLES, collapsed_constant(), plan=FEW)
    assert best.value("til_fraction", "mae_skill") == pytest.approx(0.0, abs=1e-12)
    assert best.value("immune_score", "mae_skill") == pytest.approx(0.0, abs=1e-12)
    assert best.value("tme_subtype", "balanced_accuracy") == pytest.approx(0.25)
    assert best.alarm.raised
    assert (collapsed.value("til_fraction", "mae_skill") or 0) <= 0
    text = " ".join(collapsed.alarm.messages)
    assert collapsed.alarm.raised
    assert "tme_subtype: 'D' for 100% of patients" in text
    assert "cd274_expression: ignores the image" in text
    assert "til_fraction: answers vary 0.00 times" in text


def collapsed_constant() -> PredictionSet:
    from immunopath.training.evaluation.baselines import constant

    return constant(TEST)


def test_correlation_of_a_constant_is_0_and_says_so_and_json_has_no_nan(
    collapsed: Evaluation,
) -> None:
    found = collapsed.main.fields["til_fraction"].metrics["spearman"]
    assert (found.value, found.constant) == (0.0, True)

    def refuse(text: str) -> Any:
        raise AssertionError(text)

    table = json.loads(flat(collapsed), parse_constant=refuse)
    assert Evaluation.model_validate(table) == collapsed


def test_a_field_with_too_few_positives_is_not_evaluable_and_says_the_count(
    good: Evaluation,
) -> None:
    msi = good.main.fields["msi_status"]
    assert not msi.evaluable
    assert msi.metrics == {}
    assert "2 of 60 patients are 'MSI-H'" in msi.reason
    assert msi.counts == {"MSI-H": 2, "MSS": 58}
    cd8 = good.main.fields["cd8_infiltration"]
    assert cd8.reason == "no patient has a label"


def test_what_was_not_run_is_named_and_never_filled(good: Evaluation) -> None:
    assert set(good.others) | set(good.not_run) == set(EXPECTED)
    assert good.not_run == {"mil": "not given", "zero_shot": "not given"}
    alone = evaluate_sets(SAMPLES, seeing(TEST), not_run={"mil": "no checkpoint"}, plan=FEW)
    assert alone.not_run["mil"] == "no checkpoint"
    assert alone.not_run["blank"] == "not given"
    assert alone.alarm.fields["tme_subtype"].image == "not tested"
    assert any("no control was run" in text for text in alone.alarm.warnings)


def test_majority_and_clinical_are_fitted_on_training_patients_only(good: Evaluation) -> None:
    no_train = [s for s in SAMPLES if s.split != "train"]
    found = evaluate_sets(no_train, seeing(TEST), plan=FEW)
    assert "0 training patients" in found.not_run["majority"]
    assert "constant" in found.others
    swapped = [
        s.model_copy(update={"labels": s.labels | {"til_fraction": 0.9}})
        if s.split == "train"
        else s
        for s in SAMPLES
    ]
    moved = evaluate_sets(swapped, seeing(TEST), plan=FEW)
    assert (moved.value("til_fraction", "mae", "majority") or 0) > 0.3
    assert moved.value("til_fraction", "mae", "constant") == pytest.approx(
        good.value("til_fraction", "mae", "constant")
    )


def test_training_patients_are_no_baseline_for_themselves() -> None:
    train = of_split(SAMPLES, "train")
    found = evaluate_sets(SAMPLES, seeing(train), split="train", plan=FEW)
    assert set(found.others) == {"constant", "swapped"}
    assert "they are scored here" in found.not_run["majority"]


def test_the_clinical_baseline_finds_what_the_site_tells() -> None:
    told = [
        s.model_copy(
            update={
                "labels": s.labels
                | {
                    "cd274_expression": "high" if s.site == "A" else "low",
                    "til_fraction": 0.8 if s.site == "A" else 0.2,
                }
            }
        )
        for s in SAMPLES
    ]
    found = evaluate_sets(told, seeing(TEST), plan=FEW)
    assert found.value("cd274_expression", "auroc", "clinical") == pytest.approx(1.0)
    assert (found.value("til_fraction", "mae_skill", "clinical") or 0) > 0.8
    same_facts = [s.model_copy(update={"site": "", "cancer_type": ""}) for s in SAMPLES]
    none = evaluate_sets(same_facts, seeing(TEST), plan=FEW)
    assert none.not_run["clinical"] == "training patients do not differ in cancer type or site"


def test_an_unseen_site_is_no_error() -> None:
    moved = [s.model_copy(update={"site": "Z"}) if s.split == "test" else s for s in SAMPLES]
    assert "clinical" in evaluate_sets(moved, seeing(TEST), plan=FEW).others


def test_the_published_collapse_is_recovered_and_alarms() -> None:
    """CD274 of v3.1: one of 47 high ones and none of 47 low ones called high."""
    samples = [
        Sample(
            patient_id=f"P{i}",
            split="test",
            labels={"cd274_expression": "high" if i < 47 else "low"},
        )
        for i in range(94)
    ]
    answers = PredictionSet(
        engine="v3.1",
        digest="-",
        answers=tuple(
            PatientAnswer(
                patient_id=s.patient_id,
                fields={"cd274_expression": FieldAnswer(value="high" if i == 0 else "low")},
            )
            for i, s in enumerate(samples)
        ),
    )
    found = evaluate_sets(samples, answers, plan=Plan(draws=1000))
    field = found.main.fields["cd274_expression"]
    assert field.confusion == ((1, 46), (0, 47))
    assert field.metrics["balanced_accuracy"].value == pytest.approx(0.5106, abs=1e-4)
    interval = field.metrics["balanced_accuracy"]
    assert interval.low == pytest.approx(0.5, abs=0.001)
    assert interval.high == pytest.approx(0.535, abs=0.01)
    assert field.by_class["high"]["recall"].value == pytest.approx(1 / 47)
    assert found.alarm.raised


def test_differences_are_paired_and_signed(good: Evaluation) -> None:
    pairs = {(d.against, d.field, d.metric): d for d in good.differences}
    against_majority = pairs["majority", "tme_subtype", "balanced_accuracy"]
    assert against_majority.low is not None
    assert against_majority.low > 0
    assert against_majority.value == pytest.approx(against_majority.one - against_majority.other)
    assert against_majority.p == pytest.approx(0.01)
    alike = evaluate_sets(SAMPLES, seeing(TEST), {"twin": seeing(TEST)}, plan=FEW)
    twin = [d for d in alike.differences if d.against == "twin"]
    assert twin
    assert {d.value for d in twin} == {0.0}
    assert {d.p for d in twin} == {1.0}


def test_abstentions_and_missing_answers_are_counted_apart() -> None:
    full = seeing(TEST)
    silent = full.answers[0].model_copy(
        update={
            "fields": full.answers[0].fields
            | {"til_fraction": FieldAnswer(value=None, reason="no tissue")}
        }
    )
    part = full.model_copy(update={"answers": (silent, *full.answers[1:-3])})
    field = evaluate_sets(SAMPLES, part, plan=FEW).main.fields["til_fraction"]
    assert (field.n, field.answered, field.abstained, field.missing) == (60, 56, 1, 3)


def test_answers_to_another_patients_images_fall_to_chance(good: Evaluation) -> None:
    assert abs(good.value("til_fraction", "spearman", "swapped") or 0) < 0.3
    assert (good.value("tme_subtype", "balanced_accuracy", "swapped") or 0) < 0.45
    exchanged, own = swapped(seeing(TEST), TEST, 1), seeing(TEST)
    assert exchanged.control == "swapped"
    assert [a.patient_id for a in exchanged.answers] == [a.patient_id for a in own.answers]
    pairs = list(zip(exchanged.answers, own.answers, strict=True))
    assert all(a.fields != b.fields for a, b in pairs)
    assert sorted(str(a.fields) for a, _ in pairs) == sorted(str(b.fields) for _, b in pairs)


def test_small_groups_are_counted_and_not_listed(good: Evaluation) -> None:
    shown, small = large_enough(good.groups)
    assert small == 0
    assert all(g.metrics or g.n for g in shown)
    tiny = [s.model_copy(update={"site": f"S{i // 4}"}) for i, s in enumerate(TEST)]
    shown, small = large_enough(evaluate_sets(tiny, seeing(TEST), plan=FEW).groups)
    assert small == 15
    assert {g.by for g in shown} == {"cancer_type"}


def test_groups_are_shown_and_small_ones_say_why(good: Evaluation) -> None:
    by = {(g.by, g.group, g.field): g for g in good.groups}
    assert by["site", "A", "til_fraction"].n == 20
    assert "spearman" in by["cancer_type", "LUAD", "til_fraction"].metrics
    assert by["site", "B", "msi_status"].reason
    assert by["site", "B", "msi_status"].metrics == {}


def test_the_order_of_patients_and_answers_does_not_matter_to_the_points() -> None:
    order = np.random.default_rng(0).permutation(len(TEST))
    mixed = [TEST[i] for i in order]
    one = evaluate_sets(TEST, seeing(TEST), plan=FEW)
    shuffled = seeing(TEST)
    shuffled = shuffled.model_copy(
        update={"answers": tuple(shuffled.answers[i] for i in order[::-1])}
    )
    other = evaluate_sets(mixed, shuffled, plan=FEW)
    for name, field in one.main.fields.items():
        for metric, found in field.metrics.items():
            again = other.main.fields[name].metrics[metric].value
            assert again == pytest.approx(found.value), (name, metric)


def test_other_cohorts_and_impossible_answers_are_named() -> None:
    foreign = seeing(cohort(20, seed=5))
    renamed = foreign.model_copy(
        update={
            "answers": tuple(
                a.model_copy(update={"patient_id": f"X{a.patient_id}"}) for a in foreign.answers
            )
        }
    )
    with pytest.raises(CaseFileError, match="none of the 60 patients"):
        evaluate_sets(SAMPLES, renamed, plan=FEW)
    with pytest.raises(InputError, match="no patient in the split 'val'"):
        evaluate_sets(TEST, seeing(TEST), split="val", plan=FEW)
    wrong = only(FieldAnswer(value="IE_F"), "tme_subtype")
    with pytest.raises(CaseFileError, match=r"'P0120': tme_subtype 'IE_F' is not one of IE"):
        evaluate_sets(SAMPLES, wrong, plan=FEW)
    bad = only(FieldAnswer(value=0.3, probabilities={"0.305": 1.0}), "til_fraction")
    with pytest.raises(CaseFileError, match=r"probability for '0.305'"):
        evaluate_sets(SAMPLES, bad, plan=FEW)


def only(answer: FieldAnswer, field: str) -> PredictionSet:
    return PredictionSet(
        engine="e",
        digest="d",
        answers=tuple(PatientAnswer(patient_id=s.patient_id, fields={field: answer}) for s in TEST),
    )


def test_one_rendered_patient_makes_the_cohort_synthetic() -> None:
    mixed = [TEST[0], *(s.model_copy(update={"origin": "rna"}) for s in TEST[1:])]
    assert evaluate_sets(mixed, seeing(mixed), plan=FEW).origin == "synthetic"


def test_a_class_with_few_patients_is_counted_and_said_so_on_every_page() -> None:
    labels = ["desert"] * 30 + ["inflamed"] * 26 + ["excluded"] * 4
    told = [
        s.model_copy(update={"labels": dict(s.labels) | {"immune_phenotype": value}})
        for s, value in zip(TEST, labels, strict=True)
    ]
    others = [s for s in SAMPLES if s.split != "test"]
    found = evaluate_sets([*others, *told], seeing(told), plan=FEW)
    field = found.main.fields["immune_phenotype"]
    assert field.small_classes == {"excluded": 4}
    assert set(field.by_class) == {"desert", "inflamed"}
    assert found.main.fields["til_fraction"].small_classes == {}
    said = "Answered patients by label: inflamed 26, excluded 4†, desert 30 († fewer than 10"
    value = f"{field.metrics['balanced_accuracy'].value:.3f}†"
    for page in (render_markdown(found), render_page(found)):
        assert said in page
        assert value in page
    card = render_card(found, None, None, None)
    assert value in card
    assert "immune_phenotype: excluded 4 answered patients only" in card


def test_large_classes_are_not_marked(good: Evaluation) -> None:
    section = render_markdown(good).split("## immune_phenotype")[1].split("## ")[0]
    assert good.main.fields["immune_phenotype"].small_classes == {}
    assert "Answered patients by label" in section
    assert "†" not in section
