"""What every value of the domain has in common, asked of every model that there is."""

import importlib
import inspect
import json
import pkgutil
from typing import Any

import pytest
from domain_strategies import instances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import immunopath.domain
from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.guidance import Guidance
from immunopath.domain.measured import Measured
from immunopath.domain.outcome import Ok
from immunopath.domain.prediction import FieldPrediction, PredictorResult


def _models() -> list[type[Frozen]]:
    """Return the concrete models of all modules of the domain, in the order of their names."""
    found = set()
    for module in pkgutil.iter_modules(immunopath.domain.__path__):
        home = importlib.import_module(f"immunopath.domain.{module.name}")
        found |= {
            kind
            for _, kind in inspect.getmembers(home, inspect.isclass)
            if issubclass(kind, Frozen) and not kind.__pydantic_generic_metadata__["parameters"]
        }
    found -= {Frozen}
    found |= {Measured[float | str], FieldPrediction[str], Ok[Guidance], Ok[PredictorResult]}
    return sorted(found, key=lambda kind: kind.__name__)


MODELS = _models()
some = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_the_models_were_found() -> None:
    names = {model.__name__ for model in MODELS}
    assert {"Case", "ClinicalContext", "CaseReport", "Guidance", "DrugProfile"} <= names
    assert len(names) > 40


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@some
@given(data=st.data())
def test_json_there_and_back_changes_nothing(model: type[Frozen], data: st.DataObject) -> None:
    made = data.draw(instances(model))
    text = made.model_dump_json()
    back = type(made).model_validate_json(text)
    assert back == made
    assert back.model_dump_json() == text
    assert type(made).model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(some, max_examples=2)
@given(data=st.data())
def test_nothing_can_be_changed_or_added(model: type[Frozen], data: st.DataObject) -> None:
    made = data.draw(instances(model))
    name = next(iter(type(made).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, name, getattr(made, name))
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        type(made).model_validate(made.model_dump() | {"surprise": 1})


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(some, max_examples=2)
@given(data=st.data())
def test_a_dump_is_plain_json(model: type[Frozen], data: st.DataObject) -> None:
    """Strict JSON: no NaN, no tuple, no enum, no date is left."""
    plain = data.draw(instances(model)).model_dump(mode="json")
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


class Sample(Frozen):
    number: float
    table: dict[str, float]
    pair: tuple[float, float] | None = None
    model_words: str = ""


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["number", "table", "pair"])
def test_nan_and_infinity_are_refused_at_any_depth(bad: float, where: str) -> None:
    good: dict[str, Any] = {"number": 1.0, "table": {"a": 1.0}, "pair": (0.0, 1.0)}
    assert Sample(**good).number == 1
    wrong = {"number": bad, "table": {"a": bad}, "pair": (0.0, bad)}[where]
    with pytest.raises(ValidationError, match="finite"):
        Sample(**good | {where: wrong})


def test_fields_may_be_named_after_a_model() -> None:
    """``model_…`` is an everyday name here; pydantic's warning about it is switched off."""
    assert Sample(number=0, table={}, model_words="MedGemma").model_words == "MedGemma"
    assert issubclass(Sample, BaseModel)


def test_a_fault_is_its_place_and_what_is_wrong_there() -> None:
    class Point(Frozen):
        x: float

    def fault(text: str) -> str:
        with pytest.raises(ValidationError) as caught:
            Point.model_validate_json(text)
        return first_fault(caught.value, "point")

    assert fault('{"x": "a"}').startswith("x: Input should be a valid number")
    assert fault("[]").startswith("point: ")
    assert first_fault(ValueError("no\nmore")) == "no"
