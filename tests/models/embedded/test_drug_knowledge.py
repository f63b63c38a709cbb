import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.drug import DrugProfile, NotInKnowledgeBase
from immunopath.domain.errors import KnowledgeError
from immunopath.models.embedded.drug_knowledge import DrugKnowledge, load_drugs


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
