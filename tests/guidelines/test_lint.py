"""The linter finds nothing in the shipped knowledge, and each check finds its own fault."""

import sys
from collections.abc import Mapping
from types import ModuleType

import pytest
import yaml
from lint_faults import FAULTS, LOADER, TEXTS, edited, swapped

from immunopath.guidelines import lint_drugs
from immunopath.guidelines.lint import CHECKS, LintProblem, lint, skipped, waiting
from immunopath.guidelines.lint_source import kind_of, read_source

QUICK = frozenset(CHECKS) - {"grid"}


def found(texts: Mapping[str, str], check: str) -> list[LintProblem]:
    return [problem for problem in lint(texts, only={check}) if problem.check == check]


def test_the_shipped_knowledge_passes() -> None:
    assert lint(only=QUICK) == ()


def test_every_check_has_a_meaning_and_a_test() -> None:
    assert all(CHECKS.values())
    tested = {case.values[0] for case in FAULTS} | {"structures", "grid"}
    assert tested == set(CHECKS)


@pytest.mark.parametrize(("check", "texts", "record", "message"), FAULTS)
def test_a_fault_is_found_and_named(
    check: str, texts: dict[str, str], record: str, message: str
) -> None:
    problems = found(texts, check)
    assert any(p.record == record and message in p.message for p in problems), problems
    changed = {name for name in {*texts, *TEXTS} if texts.get(name) != TEXTS.get(name)}
    if check != "pending" and not record.startswith("table"):
        assert {p.file for p in problems} <= changed


def test_names_that_do_not_resolve_keep_the_tables_from_running() -> None:
    texts = swapped("genes.yaml", "actionable: [EGFR_ANY", "actionable: [EGFR_ALL")
    assert lint(texts, only={"facts-exist", "grid"}) == ()
    assert {p.check for p in lint(texts)} == {"resolves"}


def test_a_table_that_the_engine_runs_must_be_there() -> None:
    texts = {name: text for name, text in TEXTS.items() if name != "rules_scope.yaml"}
    assert any(p.message == "table 'scope' does not exist" for p in found(texts, "resolves"))


def test_every_fault_of_a_file_is_listed_at_once() -> None:
    texts = edited("rules_scope.yaml", lambda c: [r.update(references=[]) for r in c["rules"]])
    count = len(yaml.load(TEXTS["rules_scope.yaml"], Loader=LOADER)["rules"])
    assert len(found(texts, "schema")) == count


def test_files_of_all_kinds_are_read() -> None:
    source, problems = read_source(TEXTS)
    assert problems == ()
    assert source is not None
    assert set(source.files) == set(TEXTS)
    assert kind_of("rules_gate.yaml") == "rules"


def test_the_same_texts_give_the_same_problems_in_order() -> None:
    texts = swapped("rules_first_line.yaml", "[RX-PEMBRO,", "[RX-PEMBRU,")
    assert lint(texts, only=QUICK) == lint(dict(reversed(texts.items())), only=QUICK)


def test_a_grid_that_fails_is_reported_once_per_kind_of_failure() -> None:
    texts = swapped(
        "rules_barriers.yaml",
        "then: {stop_ici: true, flags: [TRANSPLANT_STOP]",
        "then: {flags: [TRANSPLANT_STOP]",
    )
    problems = [p for p in lint(texts, only={"grid"}, grid_step=37) if "CI-1" in p.message]
    assert any("barriers_hold" in p.message and "cells, e.g." in p.message for p in problems)
    assert len({p.message for p in problems}) == len(problems)


def test_without_rdkit_the_structures_are_skipped_not_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lint_drugs, "find_spec", lambda name: None)
    assert skipped() == {"structures": "RDKit is not installed"}
    texts = swapped("drugs.yaml", "KDGFLJKFZUIJMX-UHFFFAOYSA-N", "KDGFLJKFZUIJMX-UHFFFAOYSA-M")
    assert found(texts, "structures") == []


def toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for RDKit: it knows the keys that are shipped, and no other SMILES."""
    drugs = yaml.load(TEXTS["drugs.yaml"], Loader=LOADER)["drugs"]
    keys = {d["structure"]["smiles"]: d["structure"]["inchikey"] for d in drugs if d["structure"]}
    chem, log = ModuleType("rdkit.Chem"), ModuleType("rdkit.RDLogger")
    vars(chem).update(MolFromSmiles=lambda s: s if s in keys else None, MolToInchiKey=keys.get)
    vars(log).update(DisableLog=lambda channel: None)
    for name, module in {"rdkit.Chem": chem, "rdkit.RDLogger": log}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "rdkit", ModuleType("rdkit"))
    monkeypatch.setattr(lint_drugs, "find_spec", lambda name: True)


def test_with_a_toolkit_each_structure_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    toolkit(monkeypatch)
    assert skipped() == {}
    assert found(TEXTS, "structures") == []
    texts = swapped("drugs.yaml", "KDGFLJKFZUIJMX-UHFFFAOYSA-N", "KDGFLJKFZUIJMX-UHFFFAOYSA-M")
    (problem,) = found(texts, "structures")
    assert problem.record == "alectinib"
    assert "KDGFLJKFZUIJMX-UHFFFAOYSA-N" in problem.message
    (problem,) = found(
        swapped("drugs.yaml", "smiles: N.N.Cl[Pt]Cl", "smiles: N.N.Cl"), "structures"
    )
    assert (problem.record, "nothing" in problem.message) == ("cisplatin", True)


def test_rdkit_reproduces_every_stored_key() -> None:
    pytest.importorskip("rdkit")
    assert found(TEXTS, "structures") == []
    texts = swapped("drugs.yaml", "C#Cc1cccc(Nc2ncnc3", "C#Cc1cccc(Nc2ncnc4")
    assert [p.record for p in found(texts, "structures")] == ["erlotinib"]


def test_what_a_fault_kept_from_running_waits_and_is_not_passed() -> None:
    unresolved = lint(swapped("genes.yaml", "actionable: [EGFR_ANY", "actionable: [EGFR_ALL"))
    assert set(waiting(unresolved)) == {"facts-exist", "grid"}
    unreadable = lint(TEXTS | {"flags.yaml": "- no mapping"})
    assert set(waiting(unreadable)) == set(CHECKS) - {"files", "schema", "conditions", "codes"}
    assert waiting([p for p in unreadable if p.check == "codes"]) == {}
