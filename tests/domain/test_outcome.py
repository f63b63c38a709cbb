"""Outcomes: told apart by their status, and never without a reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from immunopath.domain.outcome import Abstained, Failed, Ok, Outcome, Unavailable, why_not

ADAPTER: TypeAdapter[Outcome[int]] = TypeAdapter(Ok[int] | Abstained | Unavailable | Failed)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OUTCOMES: st.SearchStrategy[Any] = st.one_of(
    st.builds(Ok[int], value=st.integers()),
    st.builds(Abstained, reason=TEXT),
    st.builds(Unavailable, reason=TEXT),
    st.builds(Failed, error_id=TEXT, message=TEXT),
)
STATUS = {Abstained: "abstained", Unavailable: "unavailable", Failed: "failed"}


@given(OUTCOMES)
def test_an_outcome_comes_back_as_the_kind_it_was(outcome: Any) -> None:
    """Abstained and Unavailable differ in their status alone: it must decide."""
    plain = json.loads(json.dumps(ADAPTER.dump_python(outcome, mode="json")))
    back = ADAPTER.validate_python(plain)
    assert type(back) is type(outcome)
    assert back == outcome
    assert ADAPTER.validate_json(ADAPTER.dump_json(outcome)) == outcome


@given(OUTCOMES)
def test_the_status_names_the_kind(outcome: Any) -> None:
    expected = "ok" if isinstance(outcome, Ok) else STATUS[type(outcome)]
    assert outcome.status == expected


@given(TEXT, TEXT)
def test_why_not_tells_everything_that_is_known(first: str, second: str) -> None:
    assert why_not(Ok[str](value=first)) == ""
    assert why_not(Abstained(reason=first)) == first
    assert why_not(Unavailable(reason=first)) == first
    assert why_not(Failed(error_id=first, message=second)) == f"{first}: {second}"


@pytest.mark.parametrize(
    "plain",
    [
        {"status": "ok"},
        {"status": "abstained"},
        {"status": "unavailable"},
        {"status": "failed", "message": "no id"},
        {"status": "failed", "error_id": "no message"},
        {"status": "fine", "value": 1},
        {"status": "ok", "value": "not a number"},
        {"status": "ok", "value": 1, "reason": "both"},
        {"status": "unavailable", "reason": "x", "value": 1},
    ],
    ids=str,
)
def test_half_an_outcome_is_none(plain: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(plain)


@pytest.mark.parametrize("kind", [Abstained, Unavailable])
def test_a_status_cannot_be_put_on_another_kind(kind: type[Any]) -> None:
    with pytest.raises(ValidationError, match="status"):
        kind(status="ok", reason="x")


def test_a_value_of_the_wrong_type_is_refused_where_the_type_is_stated() -> None:
    with pytest.raises(ValidationError):
        Ok[int](value="three")  # type: ignore[arg-type]
    assert Ok[int](value=3).value == 3
