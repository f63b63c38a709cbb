"""The form and the YAML box end in the vocabulary of a clinical file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.app.clinical_form import FIELDS, MAX_FIELD, clinical_from_form
from immunopath.app.examples import INVENTED
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError
from immunopath.guidelines.casefile import load_clinical
from immunopath.guidelines.vocabulary import KEYS


def test_an_empty_form_states_nothing() -> None:
    assert clinical_from_form({}, "") == ClinicalContext()
    assert clinical_from_form({field.key: "  " for field in FIELDS}, " \n") == ClinicalContext()


def test_the_form_equals_a_file_with_the_same_lines(tmp_path: Path) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in INVENTED.items()))
    stated = clinical_from_form(INVENTED, "")
    assert stated == load_clinical(file)
    assert stated.age_years == 64


@pytest.mark.parametrize(
    ("key", "text"),
    [("pdl1_tps", "60"), ("pdl1_tps", "<1"), ("pdl1_tps", "12.5"), ("pdl1_tps", "pending"),
     ("stage", "0"), ("diagnosed_on", "2025-02-03"), ("drivers", "EGFR:ex19del; ALK:negative"),
     ("msi", "MSI-H"), ("ecog", "2")],
)  # fmt: skip
def test_a_value_is_read_as_a_file_reads_it(key: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text(f"{key}: {text}\n")
    assert clinical_from_form({key: text}, "") == load_clinical(file)


def test_the_box_takes_every_other_key() -> None:
    facts = clinical_from_form({"histology": "squamous"}, "m: M1c1\ncrcl_ml_min: 82\n")
    assert facts.m == "M1c1"
    assert facts.histology == "squamous"
    assert facts.organ_function.crcl_ml_min == 82


@pytest.mark.parametrize(
    ("values", "box", "fault"),
    [
        ({"pdl1_tps": "140"}, "", "pdl1_tps: .*percentage from 0 to 100"),
        ({"age": "old"}, "", "age: "),
        ({"age": "1e3"}, "", "age: "),
        ({"ecog": "7"}, "", "ecog: "),
        ({"histology": "elm"}, "", "histology: "),
        ({"diagnosed_on": "3 May"}, "", "diagnosed_on: '3 May' is no date"),
        ({"drivers": "EGFR:what"}, "", "drivers: "),
        ({"drivers": "x" * (MAX_FIELD + 1)}, "", "drivers: longer than"),
        ({}, "histolgy: squamous", "unknown key 'histolgy': did you mean 'histology'"),
        ({"age": "64"}, "age: 65", "age: stands in the form and in the YAML box"),
        ({}, "- a\n- b", "expected 'key: value' lines"),
        ({}, "a: [", "not valid YAML"),
        ({}, "a: &x 1\nb: *x", "aliases are not allowed"),
        ({}, "pred: {}", "'pred' is no clinical fact"),
        ({}, "#" * 300_000, "more than 256 KiB"),
    ],
)
def test_a_fault_is_one_line_with_its_key(values: dict[str, str], box: str, fault: str) -> None:
    with pytest.raises(CaseFileError, match=fault) as caught:
        clinical_from_form(values, box)
    assert str(caught.value).startswith("clinical facts: ")
    assert "\n" not in str(caught.value)


def test_fields_are_keys_of_the_vocabulary_and_their_choices_are_taken() -> None:
    assert {field.key for field in FIELDS} <= KEYS
    for field in FIELDS:
        assert field.choices or field.kind != "choice", field.key
        for value in field.choices:
            others = {"drivers": "all_neg"} if field.key == "drivers_method" else {}
            if field.key.startswith("pdl1"):
                others = {"pdl1_tps": "5"}
            clinical_from_form({field.key: value} | others, "")


@given(st.dictionaries(st.sampled_from([f.key for f in FIELDS]), st.text(max_size=40)), st.text())
def test_any_text_is_facts_or_one_line(values: dict[str, str], box: str) -> None:
    said = ""
    try:
        clinical_from_form(values, box)
    except CaseFileError as error:
        said = str(error)
    assert "\n" not in said
