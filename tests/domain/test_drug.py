"""Drug records are curated text with source and grade; what is not known stays empty."""

import json
from typing import Any

import pytest
from domain_strategies import instances
from hypothesis import given, settings
from pydantic import TypeAdapter, ValidationError

from immunopath.domain.drug import (
    DrugAnswer,
    DrugFact,
    DrugId,
    DrugProfile,
    NotInKnowledgeBase,
    Structure,
)

ADAPTER: TypeAdapter[Any] = TypeAdapter(DrugAnswer)
few = settings(max_examples=20, deadline=None)


@few
@given(instances(DrugProfile))
def test_a_record_says_that_it_is_curated_and_cannot_say_otherwise(profile: DrugProfile) -> None:
    assert profile.kind == "curated"
    for kind in ("model", "not_in_knowledge_base", "generated"):
        with pytest.raises(ValidationError, match="kind"):
            DrugProfile.model_validate(profile.model_dump() | {"kind": kind})


@few
@given(instances(DrugProfile))
def test_an_answer_comes_back_as_what_it_was(profile: DrugProfile) -> None:
    missing = NotInKnowledgeBase(name=profile.name, knowledge_version=profile.knowledge_version)
    for answer in (profile, missing):
        back = ADAPTER.validate_python(json.loads(ADAPTER.dump_json(answer)))
        assert type(back) is type(answer)
        assert back == answer


@pytest.mark.parametrize("missing", ["source", "grade", "text", "topic"])
def test_a_fact_without_source_or_grade_is_no_fact(missing: str) -> None:
    fact = {"topic": "mechanism", "text": "PD-1 antibody", "source": "label", "grade": "V"}
    assert DrugFact.model_validate(fact).grade == "V"
    with pytest.raises(ValidationError, match=missing):
        DrugFact.model_validate({k: v for k, v in fact.items() if k != missing})


@pytest.mark.parametrize("grade", ["A", "v", "", "VV", None])
def test_grades_are_read_memory_or_uncertain(grade: object) -> None:
    with pytest.raises(ValidationError, match="grade"):
        DrugFact.model_validate({"topic": "t", "text": "x", "source": "s", "grade": grade})


@pytest.mark.parametrize("system", ["cas", "ATC", "pubchem"])
def test_an_unknown_registry_is_refused(system: str) -> None:
    with pytest.raises(ValidationError, match="system"):
        DrugId.model_validate({"system": system, "value": "1", "status": "matched"})


@pytest.mark.parametrize("status", ["absent", "conflict"])
def test_an_absent_id_is_written_as_absent(status: str) -> None:
    row = DrugId.model_validate({"system": "chembl", "value": None, "status": status})
    assert row.value is None
    with pytest.raises(ValidationError, match="value"):
        DrugId.model_validate({"system": "chembl", "status": status})


@pytest.mark.parametrize("check", ["looked fine", "", None])
def test_a_structure_was_checked_by_a_named_method(check: object) -> None:
    with pytest.raises(ValidationError, match="check"):
        Structure.model_validate({"smiles": "C", "inchikey": "K", "check": check})


def test_what_is_not_known_offers_only_close_spellings() -> None:
    answer = NotInKnowledgeBase(name="pembrolizumap", knowledge_version="v")
    assert set(answer.model_dump()) == {"kind", "name", "nearest", "knowledge_version"}
    assert answer.nearest == ()
