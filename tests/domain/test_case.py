"""A case is a question: what is asked about which images of whom."""

from pathlib import Path

import pytest
from domain_strategies import instances
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from immunopath.domain.case import MAX_CASE_ID, Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import ResolutionError
from immunopath.domain.units import MPP_MAX, MPP_MIN


@pytest.mark.parametrize("one", ["core.tif", Path("core.tif")])
def test_one_path_is_enough(one: str | Path) -> None:
    case = Case(case_id="P-17", images=one)  # type: ignore[arg-type]
    assert case.images == (Path("core.tif"),)
    assert case.mpp is None
    assert case.patient_id is None
    assert case.clinical == ClinicalContext()


def test_many_paths_keep_their_order() -> None:
    names = ["b.png", "a.png", "c.png"]
    case = Case(case_id="a", images=names)  # type: ignore[arg-type]
    assert [path.name for path in case.images] == names


@pytest.mark.parametrize("images", [(), [], None, 3])
def test_a_case_without_images_is_none(images: object) -> None:
    with pytest.raises(ValidationError, match="images"):
        Case.model_validate({"case_id": "a", "images": images})


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_of_fair_length_names_a_case(case_id: str) -> None:
    if 1 <= len(case_id) <= MAX_CASE_ID:
        assert Case(case_id=case_id, images=(Path("x"),)).case_id == case_id
    else:
        with pytest.raises(ValidationError, match="case_id"):
            Case(case_id=case_id, images=(Path("x"),))


@pytest.mark.parametrize("length", [MAX_CASE_ID, MAX_CASE_ID + 1])
def test_the_longest_id(length: int) -> None:
    given_id = {"case_id": "x" * length, "images": ["a.png"]}
    if length > MAX_CASE_ID:
        with pytest.raises(ValidationError, match="200"):
            Case.model_validate(given_id)
    else:
        assert len(Case.model_validate(given_id).case_id) == length


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_mpp_is_kept_exactly_or_refused_with_the_remedy(mpp: float) -> None:
    if MPP_MIN <= mpp <= MPP_MAX:
        assert Case(case_id="a", images=(Path("x"),), mpp=mpp).mpp == mpp
    else:
        with pytest.raises((ResolutionError, ValidationError), match=r"micrometres|finite"):
            Case(case_id="a", images=(Path("x"),), mpp=mpp)


@pytest.mark.parametrize("key", ["magnification", "image", "Case_id", "biomarkers"])
def test_a_misspelt_key_is_named(key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        Case.model_validate({"case_id": "a", "images": ["x"], key: 1})


def test_a_prediction_cannot_come_in_as_a_clinical_fact() -> None:
    with pytest.raises(ValidationError, match="no clinical facts"):
        Case.model_validate(
            {"case_id": "a", "images": ["x"], "clinical": {"pred_msi_status": "MSI-H"}}
        )


@settings(max_examples=25, deadline=None)
@given(instances(Case))
def test_equal_cases_are_equal_and_written_alike(case: Case) -> None:
    twin = Case.model_validate(case.model_dump())
    assert twin == case
    assert twin.model_dump_json() == case.model_dump_json()


def test_two_cases_never_share_their_clinical_facts() -> None:
    one, two = (Case(case_id=name, images=(Path("x"),)) for name in "ab")
    assert one.clinical is not two.clinical
