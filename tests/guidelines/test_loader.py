"""The knowledge files load into consistent tables (MP-8), and a broken file is named."""

import pytest

from immunopath.domain.errors import KnowledgeError
from immunopath.guidelines.lint import CHECKS, lint
from immunopath.guidelines.loader import Knowledge, build_knowledge, digest, knowledge_texts


@pytest.mark.parametrize("check", [name for name in CHECKS if name != "grid"])
def test_the_shipped_knowledge_passes_the_linter(check: str) -> None:
    """What each check finds is in test_lint; the grid, MP-11, is in test_grid."""
    assert lint(only={check}) == ()


def test_the_linter_sees_every_rule_and_regimen_that_is_loaded(kb: Knowledge) -> None:
    """Nothing is folded away between the files and the tables."""
    texts = knowledge_texts()
    rules = [rule for table in kb.tables.values() for rule in table.rules]
    stated = sum(text.count("- id:") + text.count("- {id:") for name, text in texts.items()
                 if name.startswith("rules_"))  # fmt: skip
    assert len(rules) == len({rule.spec.id for rule in rules}) == stated
    assert len(kb.regimens) == texts["regimens.yaml"].count("\n- id: ")


def test_what_is_pending_stays_in_the_catalogue_and_out_of_the_rules(kb: Knowledge) -> None:
    listed = {
        regimen
        for table in kb.tables.values()
        for rule in table.rules
        for then in rule.spec.thens
        for option in then.options
        for regimen in option.regimens
    }
    pending = {r.id for r in kb.regimens.values() if r.status != "active"}
    assert pending == {"RX-RETI-CHEMO"}
    assert {r.id for r in kb.regimens.values()} - listed == pending
    reachable = {d for r in listed for d in kb.regimens[r].all_drugs()}
    assert not reachable & {"retifanlimab", "ivonescimab", "tislelizumab", "toripalimab"}


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
