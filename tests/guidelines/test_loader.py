"""The knowledge files are consistent: ids resolve, nothing pending is reachable (MP-8)."""

import re

import pytest
from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import KnowledgeError
from immunopath.guidelines.decide import decide
from immunopath.guidelines.derive import derive
from immunopath.guidelines.facts import base_facts
from immunopath.guidelines.loader import (
    Knowledge,
    Rule,
    build_knowledge,
    digest,
    knowledge_texts,
)
from immunopath.guidelines.pdl1 import read_pdl1

BANNED = re.compile(r"recommend|should receive|\bsafe\b|guaranteed", re.IGNORECASE)


def rules(kb: Knowledge) -> list[Rule]:
    return [rule for table in kb.tables.values() for rule in table.rules]


def test_rule_ids_are_unique(kb: Knowledge) -> None:
    ids = [rule.spec.id for rule in rules(kb)]
    assert sorted(ids) == sorted(set(ids))


def test_everything_a_rule_names_resolves(kb: Knowledge) -> None:
    tokens = {c for classes in kb.drug_classes.values() for c in classes}
    removable = {"ALL", "ICI_MONO", *tokens, *kb.drug_classes, *kb.regimens}
    questions = {q.id for q in kb.questions.questions}
    for rule in rules(kb):
        assert set(rule.spec.references) <= set(kb.references), rule.spec.id
        for then in rule.thens:
            named = {r for option in then.options for r in option.regimens}
            named |= set(then.rerank.regimens) if then.rerank else set()
            assert named <= set(kb.regimens), rule.spec.id
            assert set(then.tests) | set(then.advance) <= set(kb.tests), rule.spec.id
            assert set(then.flags) <= set(kb.flags), rule.spec.id
            assert set(then.remove) <= removable, rule.spec.id
            assert set(then.asks) <= questions, rule.spec.id


def test_every_flag_is_raised_by_a_rule_or_the_engine(kb: Knowledge) -> None:
    raised = {flag for rule in rules(kb) for then in rule.thens for flag in then.flags}
    assert set(kb.flags) - raised == {"KNOWLEDGE_STALE", "NO_OPTION_LISTED", "ROUTE_NOT_COVERED"}


def test_regimens_have_drugs_and_references(kb: Knowledge) -> None:
    for regimen in kb.regimens.values():
        assert regimen.all_drugs() <= set(kb.drug_classes), regimen.id
        assert set(regimen.references) <= set(kb.references), regimen.id
        assert regimen.references
        assert regimen.indication


def test_nothing_pending_is_listed_by_a_rule(kb: Knowledge) -> None:
    listed = {
        regimen
        for rule in rules(kb)
        for then in rule.thens
        for option in then.options
        for regimen in option.regimens
    }
    pending = {r.id for r in kb.regimens.values() if r.status != "active"}
    assert pending == {"RX-RETI-CHEMO"}
    assert not listed & pending
    reachable = {d for r in listed for d in kb.regimens[r].all_drugs()}
    assert not reachable & {"retifanlimab", "ivonescimab", "tislelizumab", "toripalimab"}


def test_every_active_regimen_is_listed_somewhere(kb: Knowledge) -> None:
    listed = {
        regimen
        for rule in rules(kb)
        for then in rule.thens
        for option in then.options
        for regimen in option.regimens
    }
    assert {r.id for r in kb.regimens.values() if r.status == "active"} == listed


def test_rules_read_only_facts_that_exist(kb: Knowledge) -> None:
    context = ClinicalContext()
    base = base_facts(kb, context, read_pdl1(kb, context, AS_OF), AS_OF)
    known = set(derive(kb, base)) | set(decide(kb, base).facts)
    later = {
        "route", "treatment_line", "targeted_listed", "option_drugs", "option_classes",
        "option_regimens", "flags_so_far", "outstanding", "outstanding_gate",
    }  # fmt: skip
    for rule in rules(kb):
        if rule.table in {"pdl1", "pdl1_notes"}:
            assert all(name.startswith("p_") for name in rule.reads)
        elif rule.table != "predicted":
            assert rule.reads <= known | later, (rule.spec.id, rule.reads - known - later)


def test_only_the_predicted_overlay_reads_predictions(kb: Knowledge) -> None:
    """MP-10, static."""
    for rule in rules(kb):
        if rule.table != "predicted":
            assert not [n for n in rule.reads if n.startswith("pred_")], rule.spec.id
        else:
            for then in rule.thens:
                assert not then.options
                assert not then.remove
                assert not then.set
                assert then.category is None
                assert then.route is None


def test_wording_of_options_is_neutral(kb: Knowledge) -> None:
    texts = [kb.manifest.headlines[c] for c in kb.manifest.headlines]
    texts += [r.spec.summary for r in rules(kb)]
    texts += [o.reason for r in rules(kb) for t in r.thens for o in t.options]
    texts += [f.meaning for f in kb.flags.values()] + [r.name for r in kb.regimens.values()]
    assert [text for text in texts if BANNED.search(text)] == []


def test_what_the_tables_set_is_known_to_the_questions(kb: Knowledge) -> None:
    context = ClinicalContext()
    base = base_facts(kb, context, read_pdl1(kb, context, AS_OF), AS_OF)
    for item in kb.questions.what_if:
        assert item.fact in base
        assert all(set(result.set) <= set(base) for result in item.results)
    for question in kb.questions.questions:
        for branch in question.branches:
            assert set(branch.set) <= set(base) | {"all_gate"}


def test_the_version_changes_with_any_byte() -> None:
    texts = knowledge_texts()
    assert digest(texts) == digest(dict(reversed(list(texts.items()))))
    assert digest(texts | {"flags.yaml": texts["flags.yaml"] + "\n"}) != digest(texts)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("flags.yaml", "- not a mapping", "does not hold a mapping"),
        ("flags.yaml", "kind: [", "is not YAML"),
        ("flags.yaml", "kind: flags\nflags: []\nextra: 1", "extra"),
        (
            "rules_scope.yaml",
            "kind: rules\ntable: scope\nhit_policy: most\nrules: []",
            "hit_policy",
        ),
    ],
)
def test_a_broken_file_is_named(name: str, text: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message) as caught:
        build_knowledge(knowledge_texts() | {name: text})
    assert name in str(caught.value)


def test_a_missing_file_is_named() -> None:
    texts = knowledge_texts()
    del texts["flags.yaml"]
    with pytest.raises(KnowledgeError, match=r"flags\.yaml is missing"):
        build_knowledge(texts)
