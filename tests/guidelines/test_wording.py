"""Conditions and outcomes in words: nothing left out, no identifier shown to a clinician."""

import re
from typing import Any

import pytest

from immunopath.guidelines.loader import Knowledge, load_knowledge
from immunopath.guidelines.schema import OptionSpec, Rerank, Then
from immunopath.guidelines.wording import (
    condition_words,
    fact_name,
    rule_condition,
    rule_effects,
    then_words,
)

RULES = [rule for table in load_knowledge().tables.values() for rule in table.rules]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({}, "always"),
        ({"tempo": "crisis"}, "tumour tempo: crisis"),
        ({"smoking": ["never", "light"]}, "smoking: never or light"),
        ({"crcl": {"lt": 45}}, "creatinine clearance (mL/min) below 45"),
        ({"crcl": {"le": 45}}, "creatinine clearance (mL/min) at most 45"),
        ({"age": {"gt": 70}}, "age above 70"),
        ({"p_number": {"ge": 1, "lt": 50}}, "TPS at least 1 AND TPS below 50"),
        ({"tps_stratum": {"in": ["low", "high"]}}, "PD-L1 TPS: 1-49 % or >= 50 %"),
        ({"jurisdiction": {"not_in": ["US"]}}, "labels read for is none of US"),
        ({"option_classes": {"has": "ICI"}}, "the listed drug classes include ICI"),
        ({"prior_drugs": {"has_any": ["a", "b", "c"]}}, "earlier drugs include a, b or c"),
        ({"prior_drugs": {"lacks": "pemetrexed"}}, "earlier drugs do not include pemetrexed"),
        ({"ecog_le_1": {"unless": False}}, "not known to be: ECOG 2 or worse"),
        ({"resectability": {"unknown": True}}, "resectability not stated"),
        ({"resectability": {"unknown": False}}, "resectability stated"),
        ({"unknown": "ecog"}, "ECOG not stated"),
        ({"known": "ecog"}, "ECOG stated"),
        ({"unknown": "hearing_loss"}, "not stated whether hearing loss"),
        ({"driver_ALK": True}, "ALK fusion measured"),
        ({"driver_ALK": False}, "ALK fusion measured absent"),
        ({"new_fact": True}, "new fact: yes"),
        ({"new_fact": {"odd_test": 3}}, "new fact odd test 3"),
        ({"not": {"ecog": 2}}, "NOT (ECOG: 2)"),
        (
            {"any": [{"ecog": 2}, {"ecog": 3, "tempo": "rapid"}], "line": 1},
            "(ECOG: 2 OR (ECOG: 3 AND tumour tempo: rapid)) AND line about to start: 1",
        ),
        ({"all": [{"ecog": 2}, {"line": 1}]}, "ECOG: 2 AND line about to start: 1"),
    ],
)
def test_every_operator_has_words(kb: Knowledge, condition: dict[str, Any], words: str) -> None:
    assert condition_words(kb, condition) == words


@pytest.mark.parametrize("rule", RULES, ids=[rule.spec.id for rule in RULES])
def test_no_shipped_rule_shows_an_identifier(kb: Knowledge, rule: Any) -> None:
    shown = (rule_condition(kb, rule.spec), *rule_effects(kb, rule.spec))
    # the key of an input field is what a user typed, so it stays as it is
    words = [re.sub(r"names the field \w+", "", line) for line in shown]
    assert [line for line in words if re.search(r"[a-z]_|_[a-z]|\{|None", line)] == []
    assert all(shown)


def _numbers(source: object) -> list[str]:
    if isinstance(source, dict):
        return [n for value in source.values() for n in _numbers(value)]
    if isinstance(source, list | tuple):
        return [n for value in source for n in _numbers(value)]
    return [str(source)] if isinstance(source, int | float) and source not in (True, False) else []


@pytest.mark.parametrize("rule", RULES, ids=[rule.spec.id for rule in RULES])
def test_every_number_code_and_regimen_of_a_rule_is_in_its_words(kb: Knowledge, rule: Any) -> None:
    shown = rule_condition(kb, rule.spec)
    assert [number for number in _numbers(rule.spec.when) if number not in shown] == []
    effects = "\n".join(rule_effects(kb, rule.spec))
    for then in rule.spec.thens:
        listed = [regimen for option in then.options for regimen in option.regimens]
        named = (*listed, *then.tests, *then.flags, *then.remove, *then.advance)
        assert [name for name in named if name not in effects] == []
    for case in rule.spec.cases:
        assert f"if {condition_words(kb, case.when)}: " in effects


def test_no_field_of_an_outcome_is_left_out(kb: Knowledge) -> None:
    values: dict[str, Any] = {
        "category": "TEST_FIRST", "route": "driver", "reject": "CODE", "field": "line",
        "options": (OptionSpec(regimens=("RX-OSI",), rank=2, reason="why", strength="A1"),),
        "tests": ("ECG",), "level": "T1", "flags": ("FLAG",), "remove": ("ICI",),
        "rerank": Rerank(regimens=("RX-OSI",), rank=-1), "asks": ("stage",),
        "set": {"tps_stratum": "neg"}, "review": True, "stop_ici": True,
        "append_first_line": 3, "advance": ("PDL1_IHC",),
    }  # fmt: skip
    for name in Then.model_fields:
        words = then_words(kb, Then.model_validate({name: values.get(name, ("x",))}))
        assert words, name
    assert then_words(kb, Then()) == ""


def test_facts_are_named_for_lists_of_what_is_missing(kb: Knowledge) -> None:
    assert fact_name(kb, "gene_EGFR") == "EGFR"
    assert fact_name(kb, "prior_any") == "earlier systemic therapy"
    assert fact_name(kb, "driver_BRAF_V600E") == "BRAF V600E"
    assert fact_name(kb, "driver_OF_TOMORROW") == "driver_OF_TOMORROW".replace("_", " ")
    assert fact_name(kb, "tumour_size") == "tumour size"
