import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import KnowledgeError
from immunopath.guidelines.predicates import Facts, compile_condition

FACTS: Facts = {"a": 3, "b": None, "c": "x", "s": frozenset({"p"}), "t": True}


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ({}, True),
        ({"a": 3}, True),
        ({"a": 4}, False),
        ({"b": 4}, None),
        ({"missing": 4}, None),
        ({"c": ["x", "y"]}, True),
        ({"a": {"ge": 1, "lt": 3}}, False),
        ({"a": {"ge": 1, "le": 3}}, True),
        ({"a": {"gt": 2}}, True),
        ({"c": {"not_in": ["x"]}}, False),
        ({"c": {"in": ["x"]}}, True),
        ({"b": {"not_in": ["x"]}}, None),
        ({"s": {"has": "p"}}, True),
        ({"s": {"lacks": "p"}}, False),
        ({"s": {"has_any": ["q", "p"]}}, True),
        ({"b": {"has": "p"}}, None),
        ({"unknown": "b"}, True),
        ({"unknown": "a"}, False),
        ({"known": "a"}, True),
        ({"b": {"unknown": True}}, True),
        ({"a": {"unknown": True}}, False),
        ({"b": {"unless": 1}}, True),
        ({"a": {"unless": 3}}, False),
        ({"not": {"b": 1}}, None),
        ({"not": {"a": 3}}, False),
        ({"any": [{"b": 1}, {"a": 3}]}, True),
        ({"any": [{"b": 1}, {"a": 4}]}, None),
        ({"any": [{"a": 5}, {"a": 4}]}, False),
        ({"all": [{"b": 1}, {"a": 4}]}, False),
        ({"a": 3, "b": 1}, None),
        ({"t": True}, True),
    ],
)
def test_truth(condition: dict[str, object], truth: bool | None) -> None:
    assert compile_condition(condition).test(FACTS) is truth


def test_unknown_operator_is_an_error() -> None:
    with pytest.raises(KnowledgeError, match="unknown operator 'near'"):
        compile_condition({"a": {"near": 3}})


def test_reads_names_every_fact() -> None:
    condition = compile_condition({"a": 1, "any": [{"b": 2}, {"not": {"c": 3}}], "unknown": "d"})
    assert condition.reads == {"a", "b", "c", "d"}


@given(st.sampled_from(["x", "y", None]), st.sampled_from(["x", "y", None]))
def test_de_morgan_holds_in_three_values(a: str | None, b: str | None) -> None:
    facts: Facts = {"a": a, "b": b}
    left = compile_condition({"not": {"any": [{"a": "x"}, {"b": "x"}]}}).test(facts)
    right = compile_condition({"all": [{"not": {"a": "x"}}, {"not": {"b": "x"}}]}).test(facts)
    assert left is right


@given(st.sampled_from(["x", "y"]), st.sampled_from(["x", "y"]))
def test_learning_a_value_never_flips_a_known_truth(a: str, b: str) -> None:
    """Kleene monotonicity: what is decided without a fact stays so when the fact is learned."""
    condition = compile_condition({"any": [{"a": "x"}, {"a": "y", "b": "x"}]})
    without = condition.test({"a": a, "b": None})
    if without is not None:
        assert condition.test({"a": a, "b": b}) is without
