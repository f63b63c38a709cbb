"""Conditions and outcomes of the rules in plain words, for readers of tables and not of code.

The words are made from the very conditions that the engine compiles: there is no second copy.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from immunopath.guidelines.fact_labels import LABELS
from immunopath.guidelines.fact_words import YES_NO
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.schema import CaseSpec, OptionSpec, RuleSpec, Then

_VALUES: Mapping[str, Mapping[str, str]] = {
    "tps_stratum": {"high": ">= 50 %", "low": "1-49 %", "neg": "< 1 %"},
    "stage_class": {"local": "0-IA"},
    "treatment_line": {"first": "first", "later": "second or later"},
    "autoimmune": {"life_threatening": "life-threatening or neuromuscular"},
    "p_strata": {"high": ">= 50 %", "low": "1-49 %", "neg": "< 1 %", "straddles": "several strata"},
    "question": {"stage_iii_unresectable": "unresectable stage III"},
}
_ANYWHERE: Mapping[str, str] = {
    "nonsquamous": "non-squamous",
    "nsclc_nos": "NSCLC NOS",
    "sclc": "SCLC",
    "combined_sclc": "combined SCLC",
    "lcnec": "LCNEC",
    "nut": "NUT carcinoma",
    "ILA_mild": "mild ILA",
    "ild_stable": "stable ILD",
    "ild_active": "active ILD",
    "radiation_pneumonitis_g1": "radiation pneumonitis grade 1",
    "radiation_pneumonitis_g2plus": "radiation pneumonitis grade >= 2",
    "solid_kidney": "kidney",
    "solid_liver": "liver",
    "solid_heart": "heart",
    "solid_lung": "lung",
    "allo_hsct": "allogeneic HSCT",
}
"""Values that mean the same whatever the fact."""
_OPERATORS = {
    "lt": "below",
    "le": "at most",
    "gt": "above",
    "ge": "at least",
    "not_in": "is none of",
    "has": "include",
    "has_any": "include",
    "lacks": "do not include",
}
_ROUTES = {
    "driver": "options of driver-positive disease",
    "first_line": "first-line tables",
    "later_line": "later-line table",
    "stage_iii": "table of unresectable stage III",
    "perioperative": "peri-operative table",
    "adjuvant": "adjuvant table",
}


def fact_name(kb: Knowledge, fact: str) -> str:
    """Return the words for a fact as such, e.g. for a list of what is missing."""
    if fact in LABELS:
        return LABELS[fact]
    if fact in YES_NO:
        return f"whether {YES_NO[fact][0]}"
    if fact.startswith("driver_"):
        return _driver(kb, fact)
    return _spaced(fact.removeprefix("gene_"))


def condition_words(kb: Knowledge, source: Mapping[str, Any]) -> str:
    """Return a condition of the predicate language in words; an empty one is ``always``."""
    parts = [_entry(kb, key, value) for key, value in source.items()]
    if len(parts) > 1:
        parts = [_bracketed(part) if " OR " in part else part for part in parts]
    return " AND ".join(parts) or "always"


def rule_condition(kb: Knowledge, spec: RuleSpec) -> str:
    """Return when a rule fires."""
    return condition_words(kb, spec.when)


def rule_effects(kb: Knowledge, spec: RuleSpec) -> tuple[str, ...]:
    """Return what a rule does: one line for itself, one for each of its cases."""
    own = then_words(kb, spec.then)
    lines = [*([own] if own else []), *(_case(kb, case) for case in spec.cases)]
    if spec.concerns:
        lines.append(f"caution with options of: {', '.join(spec.concerns)}")
    return tuple(lines) or ("notes the fact; changes nothing",)


def _case(kb: Knowledge, case: CaseSpec) -> str:
    return f"if {condition_words(kb, case.when)}: {then_words(kb, case.then)}"


def then_words(kb: Knowledge, then: Then) -> str:
    """Return an outcome in words; every field that is set has its part."""
    parts = [
        words
        for name in type(then).model_fields
        if (value := getattr(then, name)) not in (None, (), {}, False)
        and (words := _EFFECTS.get(name, _plain)(kb, name, value))
    ]
    return "; ".join(parts)


def _entry(kb: Knowledge, key: str, value: Any) -> str:  # noqa: ANN401 - YAML, checked when compiled
    if key in {"all", "any"}:
        parts = [condition_words(kb, item) for item in value]
        return (" OR " if key == "any" else " AND ").join(map(_bracketed, parts))
    if key == "not":
        return f"NOT ({condition_words(kb, value)})"
    if key in {"unknown", "known"}:
        return _stated(kb, str(value), wanted=key == "known")
    if isinstance(value, Mapping):
        return " AND ".join(_operator(kb, key, op, item) for op, item in value.items())
    return _equals(kb, key, value)


def _bracketed(part: str) -> str:
    return f"({part})" if " AND " in part or " OR " in part else part


def _stated(kb: Knowledge, fact: str, *, wanted: bool) -> str:
    said = "stated" if wanted else "not stated"
    name = fact_name(kb, fact)
    return f"{said} {name}" if name.startswith("whether ") else f"{name} {said}"


def _operator(kb: Knowledge, fact: str, op: str, item: Any) -> str:  # noqa: ANN401
    if op == "unknown":
        return _stated(kb, fact, wanted=not item)
    if op in {"unless", "in"}:
        said = _equals(kb, fact, item)
        return f"not known to be: {said}" if op == "unless" else said
    words = _choices(fact, item if isinstance(item, list) else [item])
    return f"{fact_name(kb, fact)} {_OPERATORS.get(op, _spaced(op))} {words}"


def _equals(kb: Knowledge, fact: str, value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return _yes_no(kb, fact, value)
    return f"{fact_name(kb, fact)}: {_choices(fact, value if isinstance(value, list) else [value])}"


def _yes_no(kb: Knowledge, fact: str, value: bool) -> str:
    if fact in YES_NO:
        return YES_NO[fact][0 if value else 1]
    if fact.startswith("driver_"):
        return f"{_driver(kb, fact)} {'measured' if value else 'measured absent'}"
    return f"{fact_name(kb, fact)}: {'yes' if value else 'no'}"


def _driver(kb: Knowledge, fact: str) -> str:
    """Return the alterations that make up a driver, from the gene file."""
    definition = kb.genes.drivers.get(fact.removeprefix("driver_"))
    if definition is None:
        return _spaced(fact)
    return " or ".join(
        f"{gene} {_joined([_spaced(a) for a in found], 'or')}" for gene, found in definition.items()
    )


def _value(fact: str, value: object) -> str:
    text = str(value)
    return _VALUES.get(fact, {}).get(text) or _ANYWHERE.get(text) or _spaced(text)


def _choices(fact: str, values: Sequence[object]) -> str:
    return _joined([_value(fact, value) for value in values], "or")


def _joined(words: Sequence[str], last: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _spaced(name: str) -> str:
    """Return an enumerated value in words; a code in capitals keeps its underscores."""
    return name if name.isupper() else name.replace("_", " ")


def _plain(kb: Knowledge, name: str, value: Any) -> str:  # noqa: ANN401
    """Return the words for a field that has none of its own yet: it is never left out."""
    shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"{_spaced(name)}: {shown}"


def _options(kb: Knowledge, name: str, value: tuple[OptionSpec, ...]) -> str:
    return "; ".join(
        f"rank {spec.rank}: {', '.join(spec.regimens)} "
        f"({'; '.join(part for part in (spec.reason, spec.strength, spec.note) if part)})"
        for spec in value
    )


def _rerank(kb: Knowledge, name: str, value: Any) -> str:  # noqa: ANN401
    where = f"to rank {value.rank}" if value.rank > 0 else f"up by {-value.rank}"
    return f"moves {', '.join(value.regimens)} {where}"


def _set(kb: Knowledge, name: str, value: Mapping[str, str]) -> str:
    return "; ".join(
        f"takes the {fact_name(kb, fact)} from the interval"
        if str(item).startswith("=")
        else f"takes the {fact_name(kb, fact)} as {_value(fact, item)}"
        for fact, item in value.items()
    )


def _asks(kb: Knowledge, name: str, value: tuple[str, ...]) -> str:
    texts = {question.id: question.text for question in kb.questions.questions}
    return f"shows what each result would decide: {', '.join(texts.get(v, v) for v in value)}"


_Effect = Callable[[Knowledge, str, Any], str]
_EFFECTS: Mapping[str, _Effect] = {
    "category": lambda kb, name, value: f"category {value}",
    "route": lambda kb, name, value: f"goes to the {_ROUTES.get(value, _spaced(value))}",
    "reject": lambda kb, name, value: f"rejects the input: {value}",
    "field": lambda kb, name, value: f"names the field {value}",
    "options": _options,
    "tests": lambda kb, name, value: f"tests: {', '.join(value)}",
    "level": lambda kb, name, value: f"priority {value}",
    "flags": lambda kb, name, value: f"flags: {', '.join(value)}",
    "remove": lambda kb, name, value: f"removes: {', '.join(value)}",
    "rerank": _rerank,
    "asks": _asks,
    "set": _set,
    "review": lambda kb, name, value: "asks for the safety review of the MDT",
    "stop_ici": lambda kb, name, value: "removes every ICI; safety review of the MDT",
    "append_first_line": lambda kb, name, value: (
        f"lists the driver-negative options from rank {value}"
    ),
    "advance": lambda kb, name, value: f"moves forward within its level: {', '.join(value)}",
}
