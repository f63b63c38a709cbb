"""Which questions may be asked of which drugs, and the prompts for them."""

import json
from pathlib import Path

import pytest

from immunopath.domain.drug import DrugProfile
from immunopath.domain.errors import EngineSpecError, ProcessorMissing
from immunopath.models.embedded.drug_knowledge import load_drugs
from immunopath.models.foundation.txgemma.txgemma_tasks import (
    Prompts,
    Task,
    fits,
    load_templates,
    options_of,
    task_sheet,
    why_not_asked,
)
from immunopath.models.foundation.weights import resolve_weights

CHOICE = Task(key="t", kind="choice", topic="t")
RANK = Task(key="r", kind="rank", topic="r")
TEMPLATE = "Question: is it\n(A) calm (B) wild at\n heart\nDrug SMILES: {Drug SMILES}\nAnswer:"


def drug(name: str) -> DrugProfile:
    found = load_drugs().lookup(name)
    assert isinstance(found, DrugProfile)
    return found


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pembrolizumab", "an antibody"), ("amivantamab", "a bispecific"),
        ("trastuzumab deruxtecan", "conjugate"), ("cisplatin", "platinum"),
        ("carboplatin", "platinum"), ("tumour treating fields", "a device"),
        ("sevabertinib", "no curated structure"), ("nab-paclitaxel", "no curated structure"),
    ],
)  # fmt: skip
def test_what_no_model_is_asked_about(name: str, why: str) -> None:
    assert why in why_not_asked(drug(name))


def test_small_molecules_with_a_structure_are_asked_about() -> None:
    asked = [d for d in load_drugs().all() if not why_not_asked(d)]
    assert len(asked) > 25
    assert all(d.structure and d.modality == "small_molecule" for d in asked)


def test_absorption_is_asked_only_of_what_is_swallowed() -> None:
    oral = next(t for t in task_sheet().tasks if t.key == "HIA_Hou")
    assert fits(oral, drug("osimertinib"))
    assert not fits(oral, drug("docetaxel"))
    assert fits(next(t for t in task_sheet().tasks if t.key == "hERG"), drug("docetaxel"))


def test_the_default_panel_and_what_must_be_asked_for() -> None:
    sheet = task_sheet()
    panel = [t.key for t in sheet.chosen(None)]
    assert {"BBB_Martins", "hERG", "DILI", "Half_Life_Obach"} <= set(panel)
    assert not {"AMES", "ClinTox", "Carcinogens_Lagunin", "LD50_Zhu"} & set(panel)
    assert [t.key for t in sheet.chosen("AMES+hERG+AMES")] == ["AMES", "hERG"]


@pytest.mark.parametrize(
    ("key", "why"),
    [("GDSC1", "not for patients"), ("BindingDB_kd", "sequence of the target"),
     ("phase1", "outcome of trials"), ("SAbDab_Chen", "curated knowledge base alone"),
     ("Tox21_SR_p53", "training data"), ("Invented", "not on the list")],
)  # fmt: skip
def test_a_question_that_may_not_be_asked_is_refused_with_the_reason(key: str, why: str) -> None:
    with pytest.raises(EngineSpecError, match=why):
        task_sheet().chosen(f"hERG+{key}")


def test_a_prompt_is_the_template_with_the_structure() -> None:
    prompts = Prompts({"t": TEMPLATE}, "d")
    text = prompts.fill(CHOICE, "CCO")
    assert text == TEMPLATE.replace("{Drug SMILES}", "CCO")
    assert options_of(text) == ("calm", "wild at heart") or options_of(text)[0] == "calm"


@pytest.mark.parametrize(
    "template",
    ["", "no place for it", "{Drug SMILES} {Drug SMILES} (A) a (B) b",
     "(A) a (B) b {Drug SMILES} {Target amino acid sequence}", "{Drug SMILES} without options"],
)  # fmt: skip
def test_a_template_that_does_not_fit_gives_no_prompt(template: str) -> None:
    assert Prompts({"t": template}, "d").fill(CHOICE, "CCO") == ""


def test_braces_of_a_structure_or_a_number_are_no_placeholders() -> None:
    prompts = Prompts({"r": "{Drug SMILES} from 000 to 1000"}, "d")
    assert prompts.fill(RANK, "[C@@H](C)N") == "[C@@H](C)N from 000 to 1000"


def test_options_stop_at_the_end_of_their_line() -> None:
    text = "it\n(A) does not block hERG (B) blocks hERG\nDrug SMILES: C\nAnswer:"
    assert options_of(text) == ("does not block hERG", "blocks hERG")
    with pytest.raises(ValueError, match=r"no \(A\)"):
        options_of("nothing")


def test_the_prompt_file_of_a_checkpoint(tmp_path: Path) -> None:
    weights = resolve_weights(str(tmp_path))
    with pytest.raises(ProcessorMissing, match="in other words"):
        load_templates(weights)
    path = tmp_path / "tdc_prompts.json"
    for bad, what in (("{", "not JSON"), ("[]", "does not map"), ('{"a": "b"}', "does not map"),
                      ('{"a": 1}', "does not map")):  # fmt: skip
        path.write_text(bad)
        with pytest.raises(ProcessorMissing, match=what):
            load_templates(weights)
    path.write_text(json.dumps({"hERG": TEMPLATE}))
    first = load_templates(weights)
    assert first.templates == {"hERG": TEMPLATE}
    path.write_text(json.dumps({"hERG": TEMPLATE + " "}))
    assert load_templates(weights).digest != first.digest
