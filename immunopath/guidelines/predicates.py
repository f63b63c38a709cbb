"""A small condition language with three-valued logic: unknown never counts as negative.

A condition is a mapping; all its entries must hold. An entry is a fact name with a test, or one
of ``all``, ``any`` (lists of conditions), ``not`` (a condition), ``unknown``, ``known`` (names).
Tests: a scalar (equal), a list (one of), or a mapping of operators:

=============  ======================================================================
``lt le gt ge``  numeric comparison
``in not_in``    membership of a scalar fact
``has``          the set-valued fact contains the item
``has_any``      the set-valued fact contains at least one item
``lacks``        the set-valued fact does not contain the item
``unless``       true unless the fact is *known* to equal the item (two-valued, on purpose)
``unknown``      ``true``: the fact is unknown (two-valued)
=============  ======================================================================
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from immunopath.domain.errors import KnowledgeError

Value = bool | int | float | str | frozenset[str] | None
Facts = Mapping[str, Value]
Truth = bool | None
Test = Callable[[Facts], Truth]

_LOGIC = frozenset({"all", "any", "not", "unknown", "known"})


@dataclass(frozen=True)
class Condition:
    """A compiled condition and the facts it reads."""

    test: Test
    reads: frozenset[str]


def compile_condition(source: Mapping[str, Any]) -> Condition:
    """Compile a condition; raises `KnowledgeError` on an unknown operator."""
    parts = [_entry(key, value) for key, value in source.items()]
    tests = tuple(part.test for part in parts)
    return Condition(_conjunction(tests), _union(parts))


def _union(parts: Sequence[Condition]) -> frozenset[str]:
    return frozenset().union(*(part.reads for part in parts))


def _conjunction(tests: tuple[Test, ...]) -> Test:
    def run(facts: Facts) -> Truth:
        result: Truth = True
        for test in tests:
            truth = test(facts)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return run


def _disjunction(tests: tuple[Test, ...]) -> Test:
    def run(facts: Facts) -> Truth:
        result: Truth = False
        for test in tests:
            truth = test(facts)
            if truth is True:
                return True
            if truth is None:
                result = None
        return result

    return run


def _entry(key: str, value: Any) -> Condition:  # noqa: ANN401 - YAML content, checked here
    if key in {"all", "any"}:
        parts = [compile_condition(item) for item in value]
        join = _conjunction if key == "all" else _disjunction
        return Condition(join(tuple(p.test for p in parts)), _union(parts))
    if key == "not":
        inner = compile_condition(value)
        return Condition(_negation(inner.test), inner.reads)
    if key in {"unknown", "known"}:
        return Condition(_knowledge(str(value), wanted=key == "known"), frozenset({str(value)}))
    return Condition(_fact(key, value), frozenset({key}))


def _negation(test: Test) -> Test:
    def run(facts: Facts) -> Truth:
        truth = test(facts)
        return None if truth is None else not truth

    return run


def _knowledge(name: str, *, wanted: bool) -> Test:
    return lambda facts: (facts.get(name) is not None) is wanted


def _fact(name: str, expected: Any) -> Test:  # noqa: ANN401
    if isinstance(expected, Mapping):
        return _conjunction(tuple(_operator(name, op, item) for op, item in expected.items()))
    if isinstance(expected, list):
        return _when_known(name, _CHECKS["in"](expected))
    return _when_known(name, lambda value: value == expected)


def _when_known(name: str, check: Callable[[Any], bool]) -> Test:
    def run(facts: Facts) -> Truth:
        value = facts.get(name)
        return None if value is None else check(value)

    return run


def _meets(items: frozenset[Any]) -> Callable[[Any], bool]:
    return lambda value: not items.isdisjoint(value)


_CHECKS: Mapping[str, Callable[[Any], Callable[[Any], bool]]] = {
    "lt": lambda item: lambda value: bool(value < item),
    "le": lambda item: lambda value: bool(value <= item),
    "gt": lambda item: lambda value: bool(value > item),
    "ge": lambda item: lambda value: bool(value >= item),
    "in": lambda item: lambda value: value in item,
    "not_in": lambda item: lambda value: value not in item,
    "has": lambda item: lambda value: item in value,
    "lacks": lambda item: lambda value: item not in value,
    "has_any": lambda item: _meets(frozenset(item)),
}


def _operator(name: str, op: str, item: Any) -> Test:  # noqa: ANN401
    if op == "unless":
        return lambda facts: facts.get(name) != item
    if op == "unknown":
        return _knowledge(name, wanted=not item)
    if op not in _CHECKS:
        raise KnowledgeError(f"condition on {name}: unknown operator {op!r}")
    return _when_known(name, _CHECKS[op](item))
