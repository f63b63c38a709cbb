"""Stages reached, rules nearly fired, and the files that can be explained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from guideline_support import AS_OF, HERE
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.errors import CaseFileError
from immunopath.domain.guidance import Category
from immunopath.guidelines.check import Vignette, load_vignettes, parse_pred, run_inputs
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.explain import Explanation, StatedCase, explain, load_case, residue
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.predicates import compile_condition
from immunopath.guidelines.stages import OTHER, by_stage, ordered_tables, stage_of
from immunopath.guidelines.vocabulary import parse_inputs

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPLETE: Mapping[str, Any] = {"histology": "adenocarcinoma", "drivers": "all_neg", "pdl1_tps": 80}
VIGNETTES = [
    vignette
    for name in ("vignettes.yaml", "vignettes_own.yaml")
    for vignette in load_vignettes(HERE / name)
]
RULES = [rule for table in load_knowledge().tables.values() for rule in table.rules]


def explained(**inputs: Any) -> Explanation:
    clinical = parse_inputs({**COMPLETE, **inputs}, defaults=True)
    return explain(StatedCase(name="c", clinical=clinical), as_of=AS_OF)


def of_vignette(vignette: Vignette) -> Explanation:
    inputs = vignette.inputs
    stated = StatedCase(
        name=vignette.id,
        clinical=parse_inputs(inputs, defaults=True),
        predicted=parse_pred(inputs.get("pred")),
    )
    return explain(stated, as_of=AS_OF)


def near(found: Explanation) -> dict[str, str]:
    return {rule.rule_id: rule.would_fire_if for rule in found.nearly_fired}


def test_every_table_has_a_stage() -> None:
    kb = load_knowledge()
    assert [t.name for t in ordered_tables(kb) if stage_of(t.name) == OTHER] == []
    assert len(ordered_tables(kb)) == len(kb.tables)
    grouped = by_stage([("tests", 1), ("new_table", 2), ("scope", 3), ("tests", 4)])
    assert grouped == {"scope": [3], "tests": [1, 4], OTHER: [2]}
    assert list(grouped) == ["scope", "tests", OTHER]


def test_the_guidance_is_that_of_the_engine() -> None:
    for path in sorted(EXAMPLES.glob("clinical_*.yaml")):
        stated = load_case(path)
        found = explain(stated, as_of=AS_OF)
        assert found.guidance == evaluate(stated.clinical, as_of=AS_OF)
        assert found.case == path.stem
        assert found == explain(stated, as_of=AS_OF)
        assert {rule.table for rule in found.guidance.fired} <= set(found.reached)


@pytest.mark.parametrize("vignette", VIGNETTES, ids=[v.id for v in VIGNETTES])
def test_every_vignette_can_be_explained(vignette: Vignette) -> None:
    found = of_vignette(vignette)
    assert found.guidance == run_inputs(vignette.inputs, as_of=AS_OF)
    assert not set(found.guidance.rule_ids()) & set(near(found))
    assert set(found.open_facts) == set(found.guidance.missing)
    # what the engine itself sets is no answer that anybody could give
    set_inside = {"route", "treatment_line", "option_drugs", "outstanding", "flags_so_far"}
    assert not set_inside & {rule.fact for rule in found.nearly_fired}


def test_one_unknown_fact_keeps_a_rule_open_and_its_answer_fires_it() -> None:
    found = explained()
    assert near(found)["CI-17"] == "neuropathy grade at least 2"
    assert "CI-17" in explained(neuropathy_grade=2).guidance.rule_ids()
    closed = explained(neuropathy_grade=0)
    assert "CI-17" not in {*near(closed), *closed.guidance.rule_ids()}


def test_of_alternatives_only_the_open_one_is_named() -> None:
    open_part = near(explained(crcl_ml_min=82))["CI-14"]
    assert open_part == "a bleeding, vascular or wound barrier is stated"
    assert "CI-14" in explained(histology="squamous").guidance.rule_ids()


def test_two_unknown_facts_are_not_nearly_fired() -> None:
    assert "OV-5" not in near(explained(pdl1_tps="pending"))
    assert "CI-16" not in near(explained())  # kidney, hearing, nerve and heart are all open


def test_rows_behind_the_first_hit_were_never_asked() -> None:
    stated = explained(drivers="EGFR:L858R")
    assert "G-1" in stated.guidance.rule_ids()
    assert not {"G-2", "G-3", "G-4", "G-5"} & set(near(stated))


def test_a_rejected_case_reaches_no_stage_behind_validation() -> None:
    found = explained(pdl1_tps=150)
    assert found.guidance.category is Category.REJECT_INVALID_INPUT
    assert set(found.reached) <= {"pdl1", "pdl1_notes", "validation"}


def test_predicted_facts_of_a_vignette_only_add_to_the_path() -> None:
    with_pred = [v for v in VIGNETTES if "pred" in v.inputs]
    assert with_pred
    found = [of_vignette(v) for v in with_pred]
    assert any(r.table == "predicted" for one in found for r in one.guidance.fired)
    for one in found:
        assert not any(rule.table == "predicted" for rule in one.nearly_fired)


VALUES = st.sampled_from(
    [None, True, False, 0, 1, 2, 45, 90.0, "none", "high", "rapid", frozenset({"ICI"})]
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RULES), st.data())
def test_the_residue_says_the_same_as_the_condition(rule: Any, data: Any) -> None:
    """Whatever the unknown facts turn out to be, condition and residue agree."""
    names = sorted(rule.condition.reads)
    facts = {name: data.draw(VALUES, label=name) for name in names}
    try:
        left = residue(rule.spec.when, facts)
        whole = rule.condition.test(facts)
    except TypeError:
        return  # a value of the wrong kind for this fact
    assert (left is None) is (whole is not None)
    if left is None:
        return
    part = compile_condition(left)
    assert part.reads
    assert all(facts[name] is None for name in part.reads)
    answers = facts | {name: data.draw(VALUES, label=f"answer {name}") for name in part.reads}
    try:
        assert part.test(answers) is rule.condition.test(answers)
    except TypeError:
        return


def test_a_file_may_be_a_case_a_list_or_one_entry(tmp_path: Path) -> None:
    path = tmp_path / "my case.yaml"
    path.write_text("histology: adenocarcinoma\nstage: IVA\n")
    assert load_case(path).name == "my case"
    entry = "id: X1\ntitle: t\ninputs: {histology: squamous}\nexpect: {rule: SQ-H}\n"
    path.write_text(entry)
    assert load_case(path).name == "X1"
    assert load_case(path).clinical.histology == "squamous"
    path.write_text("- " + entry.replace("\n", "\n  ").rstrip() + "\n")
    assert load_case(path).name == load_case(path, "X1").name == "X1"


@pytest.mark.parametrize(
    ("text", "vignette", "words"),
    [
        ("histologi: x", None, ["c.yaml", "histologi"]),
        ("histology: squamous", "V01", ["c.yaml", "--vignette"]),
        ("- {id: A, inputs: {histologi: x}, expect: {}}", None, ["c.yaml", "A", "histologi"]),
        ("- {id: A, inputs: {}, expect: {}}\n- {id: B, inputs: {}, expect: {}}", None, ["2", "A"]),
        ("- {id: A, inputs: {}, expect: {}}", "Z", ["c.yaml", "'Z'"]),
        ("[1, 2]", None, ["c.yaml"]),
        ("just text", None, ["c.yaml"]),
        ("pred: {cd274: high}", None, ["c.yaml", "pred"]),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(
    tmp_path: Path, text: str, vignette: str | None, words: list[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(CaseFileError) as caught:
        load_case(path, vignette)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert [word for word in words if word not in said] == []
