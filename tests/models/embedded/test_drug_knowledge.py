import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.drug import DrugProfile, NotInKnowledgeBase
from immunopath.domain.errors import KnowledgeError
from immunopath.guidelines.loader import knowledge_texts
from immunopath.models.embedded.drug_knowledge import DrugKnowledge, build_drugs, load_drugs

SECTION_4 = {
    "pembrolizumab", "nivolumab", "cemiplimab", "atezolizumab", "durvalumab", "ipilimumab",
    "tremelimumab", "avelumab", "dostarlimab", "tislelizumab", "toripalimab", "retifanlimab",
    "ivonescimab", "cisplatin", "carboplatin", "pemetrexed", "paclitaxel", "nab-paclitaxel",
    "docetaxel", "gemcitabine", "bevacizumab", "ramucirumab", "amivantamab",
    "trastuzumab deruxtecan", "datopotamab deruxtecan", "telisotuzumab vedotin", "zenocutuzumab",
    "osimertinib", "lazertinib", "afatinib", "dacomitinib", "erlotinib", "gefitinib",
    "sunvozertinib", "alectinib", "lorlatinib", "brigatinib", "ensartinib", "crizotinib",
    "ceritinib", "repotrectinib", "taletrectinib", "entrectinib", "larotrectinib", "dabrafenib",
    "trametinib", "encorafenib", "binimetinib", "capmatinib", "tepotinib", "selpercatinib",
    "pralsetinib", "sotorasib", "adagrasib", "zongertinib", "sevabertinib",
}  # fmt: skip
FORMULA_ONLY = {"cisplatin", "carboplatin", "zongertinib", "sunvozertinib"}
"""Rows of 4.5 marked f: the key has no second source."""
WITHOUT_STRUCTURE = {"nab-paclitaxel", "vinorelbine", "sevabertinib"}


def contents() -> list[dict[str, Any]]:
    texts = knowledge_texts()
    return [yaml.safe_load(texts[f"{n}.yaml"]) for n in ("drugs", "regimens", "manifest")]


@pytest.fixture
def drugs() -> DrugKnowledge:
    return load_drugs()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("osimertinib", "osimertinib"), ("OSIMERTINIB", "osimertinib"),
        (" Tagrisso ", "osimertinib"),
        ("Keytruda", "pembrolizumab"), ("T-DXd", "trastuzumab deruxtecan"),
        ("trastuzumab-deruxtecan", "trastuzumab deruxtecan"), ("nab paclitaxel", "nab-paclitaxel"),
    ],
)  # fmt: skip
def test_lookup_by_name_and_synonym(drugs: DrugKnowledge, asked: str, name: str) -> None:
    found = drugs.lookup(asked)
    assert isinstance(found, DrugProfile)
    assert found.name == name
    assert found.kind == "curated"


def test_an_unknown_drug_is_a_typed_answer_with_the_nearest_names(drugs: DrugKnowledge) -> None:
    answer = drugs.lookup("osimertinb")
    assert isinstance(answer, NotInKnowledgeBase)
    assert answer.nearest == ("osimertinib",)
    assert isinstance(drugs.lookup("aspirin"), NotInKnowledgeBase)


def test_every_fact_has_a_source_and_a_grade(drugs: DrugKnowledge) -> None:
    for profile in drugs.all():
        assert profile.facts, profile.name
        for fact in profile.facts:
            assert fact.source
            assert fact.text
            assert fact.grade in {"V", "M", "?"}


def test_conflicting_ids_are_null_and_memory_is_unverified(drugs: DrugKnowledge) -> None:
    statuses = set()
    for profile in drugs.all():
        for item in profile.ids:
            statuses.add(item.status)
            assert (item.value is None) == (item.status in {"conflict", "absent"})
            assert item.value is None or not item.value.endswith(("~", "?"))
    assert statuses == {"matched", "unverified", "conflict", "absent"}
    cemiplimab = drugs.lookup("cemiplimab")
    assert isinstance(cemiplimab, DrugProfile)
    drugbank = next(i for i in cemiplimab.ids if i.system == "drugbank")
    assert (drugbank.value, drugbank.status) == (None, "conflict")


def test_antibodies_have_no_structure_and_no_in_silico_model(drugs: DrugKnowledge) -> None:
    for profile in drugs.all():
        if profile.modality in {"mab", "bispecific", "adc", "device"}:
            assert profile.structure is None, profile.name
            assert profile.txgemma_applicable is False, profile.name
        if profile.modality == "metal_complex":
            assert profile.txgemma_applicable is False, profile.name


def test_no_two_drugs_share_a_matched_id(drugs: DrugKnowledge) -> None:
    seen: dict[tuple[str, str], str] = {}
    for profile in drugs.all():
        for item in profile.ids:
            if item.value is not None and item.status == "matched":
                key = (item.system, item.value)
                assert seen.setdefault(key, profile.name) == profile.name


def test_uncertain_half_lives_carry_the_mark(drugs: DrugKnowledge) -> None:
    profile = drugs.lookup("zongertinib")
    assert isinstance(profile, DrugProfile)
    half_life = next(f for f in profile.facts if f.topic == "half_life")
    assert half_life.grade == "?"


def test_every_drug_of_the_specification_and_the_catalogue_is_curated(
    drugs: DrugKnowledge,
) -> None:
    names = {profile.name for profile in drugs.all()}
    catalogue = {
        name
        for regimen in contents()[1]["regimens"]
        for part in regimen["components"]
        for names_ in (part.values() if isinstance(part, dict) else [part])
        for name in names_
    }
    assert names == SECTION_4 | catalogue
    assert catalogue - SECTION_4 == {"vinorelbine", "tumour treating fields"}


def test_every_record_answers_what_a_board_asks(drugs: DrugKnowledge) -> None:
    asked = {"mechanism", "half_life", "nsclc_dose", "route", "boxed_warning", "toxicity",
             "monitoring"}  # fmt: skip
    for profile in drugs.all():
        topics = [fact.topic for fact in profile.facts]
        assert asked <= set(topics), profile.name
        assert len(topics) == len(set(topics)), profile.name
        assert all(fact.text != "as above" for fact in profile.facts)
        assert {item.system for item in profile.ids} == {"atc", "chembl", "drugbank", "rxnorm"}


def test_drugs_without_a_us_label_say_so(drugs: DrugKnowledge) -> None:
    status = {profile.name: profile.us_status for profile in drugs.all()}
    assert {n for n, s in status.items() if s == "no_nsclc_label"} == {
        "avelumab", "tislelizumab", "toripalimab"
    }  # fmt: skip
    assert {n for n, s in status.items() if s == "unverified"} == {"retifanlimab", "ivonescimab"}
    for name in ("avelumab", "tislelizumab", "toripalimab", "ivonescimab"):
        profile = drugs.lookup(name)
        assert isinstance(profile, DrugProfile)
        assert profile.nsclc_regimens == ()
        dose = next(f.text for f in profile.facts if f.topic == "nsclc_dose")
        assert dose.startswith("none kept")


def test_structures_say_what_was_checked(drugs: DrugKnowledge) -> None:
    small = {p.name for p in drugs.all() if p.modality in {"small_molecule", "metal_complex"}}
    checked = {p.name: p.structure.check for p in drugs.all() if p.structure}
    assert set(checked) == small - WITHOUT_STRUCTURE
    assert len(checked) == 34
    assert {name for name, check in checked.items() if check == "formula"} == FORMULA_ONLY
    for profile in drugs.all():
        if profile.structure:
            assert re.fullmatch(r"[A-Z]{14}-[A-Z]{10}-[A-Z]", profile.structure.inchikey)


def test_the_in_silico_model_needs_a_structure(drugs: DrugKnowledge) -> None:
    applicable = {p.name for p in drugs.all() if p.txgemma_applicable}
    with_structure = {p.name for p in drugs.all() if p.structure}
    assert applicable == with_structure - {"cisplatin", "carboplatin"}


@pytest.mark.parametrize("change", [
    lambda content: content.update(colour="red"),
    lambda content: content["drugs"][0].update(colour="red"),
    lambda content: content["drugs"][0]["facts"][0].update(colour="red"),
    lambda content: content["drugs"][0]["ids"][0].update(colour="red"),
    lambda content: content["drugs"][0].pop("us_status"),
    lambda content: content["drugs"][0]["facts"][0].update(grade="A"),
])  # fmt: skip
def test_an_invalid_record_is_refused(change: Any) -> None:
    drugs_file, regimens, manifest = contents()
    change(drugs_file)
    with pytest.raises(KnowledgeError, match=r"drugs\.yaml"):
        build_drugs(drugs_file, regimens, manifest)


def test_class_lookup(drugs: DrugKnowledge) -> None:
    names = {profile.name for profile in drugs.by_class("alk_tki")}
    assert {"alectinib", "lorlatinib"} <= names
    assert drugs.by_class("nothing") == ()


def test_regimens_of_a_drug(drugs: DrugKnowledge) -> None:
    profile = drugs.lookup("cemiplimab")
    assert isinstance(profile, DrugProfile)
    assert profile.nsclc_regimens == ("RX-CEMI", "RX-CEMI-CHEMO")


def test_profiles_keep_order_and_refuse_what_is_not_curated(drugs: DrugKnowledge) -> None:
    found = drugs.profiles(["carboplatin", "alectinib", "carboplatin"])
    assert [p.name for p in found] == ["carboplatin", "alectinib"]
    with pytest.raises(KnowledgeError, match="unheardumab"):
        drugs.profiles(["unheardumab"])


def test_a_name_of_two_drugs_is_refused(drugs: DrugKnowledge) -> None:
    one = drugs.all()[0]
    other = one.model_copy(update={"drug_id": "other"})
    with pytest.raises(KnowledgeError, match="two drugs"):
        DrugKnowledge((one, other), "v")


@given(st.text(max_size=60))
def test_any_text_gets_a_typed_answer(name: str) -> None:
    assert isinstance(load_drugs().lookup(name), DrugProfile | NotInKnowledgeBase)
