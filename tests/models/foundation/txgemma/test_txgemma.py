"""The drugs engine on a tiny Gemma 2 that knows some answers by heart."""

import math
import sys
from pathlib import Path

import pytest
import torch
from tiny_gemma2 import BY_HEART, ERLOTINIB, GEFITINIB, SURE, build_gemma2, prompt_of
from txgemma_cases import engine, fact, model, panel

from immunopath.domain.drug import DrugProfile, InSilicoFact, InSilicoPanel
from immunopath.domain.errors import (
    KnowledgeError,
)
from immunopath.models.embedded.drug_knowledge import load_drugs
from immunopath.models.foundation.weights import resolve_weights

CERTAIN = 1 / (1 + math.exp(-30 * math.tanh(SURE / 30)))
"""Gemma 2 caps its logits at 30: a token known by heart has 30 tanh(8 / 30), its twin 0."""


def test_the_panel_of_a_small_molecule(gemma2: Path, tmp_path: Path) -> None:
    drugs = engine(gemma2, tmp_path)
    brain = fact(drugs, "erlotinib", "BBB_Martins")
    assert (brain.state, brain.answer, brain.statement) == ("answered", "B", "enters the brain")
    assert brain.probability == pytest.approx(CERTAIN, abs=1e-3)
    assert brain.caveat
    assert fact(drugs, "gefitinib", "BBB_Martins").answer == "A"
    assert fact(drugs, "gefitinib", "BBB_Martins").probability == pytest.approx(
        1 - CERTAIN, abs=1e-3
    )
    gut = fact(drugs, "erlotinib", "Caco2_Wang")
    assert (gut.rank, gut.answer, gut.probability) == (512, None, None)
    assert fact(drugs, "gefitinib", "Caco2_Wang").rank == 7


def test_what_is_no_answer_is_unparsed_and_what_has_no_prompt_is_not_computed(
    gemma2: Path, tmp_path: Path
) -> None:
    drugs = engine(gemma2, tmp_path)
    for task, text in (("hERG", "none"), ("LD50_Zhu", "5000")):
        found = fact(drugs, "erlotinib", task)
        assert (found.state, found.text) == ("unparsed", text)
        assert found.answer is None
        assert found.rank is None
        assert found.probability is None
    missing = fact(drugs, "erlotinib", "DILI")
    assert missing.state == "not_computed"
    assert "prompts of this checkpoint" in missing.reason


def test_a_batch_reads_what_each_prompt_alone_gives(gemma2: Path) -> None:
    loaded = model(gemma2)
    keys = [key for key in BY_HEART if key[0] not in ("Caco2_Wang", "LD50_Zhu")]
    together = loaded.ask([prompt_of(*key) for key in keys], "choice")
    for key, reading in zip(keys, together, strict=True):
        alone = loaded.ask([prompt_of(*key)], "choice")[0]
        assert reading.text == alone.text == BY_HEART[key]
        assert reading.probability == pytest.approx(alone.probability, abs=1e-4)


def test_the_probability_comes_from_the_logits_at_the_letter(gemma2: Path) -> None:
    loaded = model(gemma2)
    reading = loaded.ask([prompt_of("BBB_Martins", ERLOTINIB)], "choice")[0]
    tokenizer, body = loaded._tokenizer, loaded._model
    ids = tokenizer(prompt_of("BBB_Martins", ERLOTINIB) + "(", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        last = body(input_ids=ids).logits[0, -1]
    two = [tokenizer.convert_tokens_to_ids(letter) for letter in "AB"]
    assert reading.probability == pytest.approx(float(last[two].softmax(0)[1]), abs=1e-5)


def test_antibodies_conjugates_and_platinum_stay_with_the_knowledge_base(
    gemma2: Path, tmp_path: Path
) -> None:
    drugs = engine(gemma2, tmp_path)
    for name in ("pembrolizumab", "amivantamab", "trastuzumab deruxtecan", "cisplatin"):
        assert panel(drugs, name).status == "not_applicable"
    assert list(tmp_path.iterdir()) == []  # nobody was asked
    curated = load_drugs().profiles(["erlotinib", "pembrolizumab"])
    found = drugs.profiles(["erlotinib", "pembrolizumab"])
    assert tuple(d.model_copy(update={"in_silico": None}) for d in found) == curated
    with pytest.raises(KnowledgeError):
        drugs.profiles(["unheardumab"])


def test_every_answer_names_its_model_and_prompts(gemma2: Path, tmp_path: Path) -> None:
    drugs = engine(gemma2, tmp_path)
    source = panel(drugs, "erlotinib").source
    assert source is not None
    assert (source.engine, source.kind) == ("txgemma", "model")
    assert source.weights_digest == resolve_weights(str(gemma2)).digest == drugs.info.weights_digest
    assert source.preprocess == "mode=predict;dtype=float32"
    assert source.prompt_digest
    assert (drugs.info.role, drugs.info.gated) == ("drugs", True)


def test_a_chat_checkpoint_is_asked_through_its_template(tmp_path: Path) -> None:
    folder = build_gemma2(tmp_path / "txgemma-tiny-chat", chat=True)
    chat = model(folder)
    assert chat.mode == "chat"
    asked = [prompt_of("BBB_Martins", s) for s in (ERLOTINIB, GEFITINIB)]
    assert [r.letter for r in chat.ask(asked, "choice")] == ["B", "A"]
    encoded = chat._encode(asked[:1])["input_ids"][0].tolist()
    assert encoded.count(chat._tokenizer.bos_token_id) == 1
    assert model(folder, mode="predict").mode == "predict"


def test_without_weights_the_curated_facts_stand_and_the_panel_says_why(tmp_path: Path) -> None:
    found = engine(tmp_path / "absent", tmp_path).profiles(["erlotinib", "pembrolizumab"])
    assert [d.name for d in found] == ["erlotinib", "pembrolizumab"]
    assert all(d.facts for d in found)
    first = found[0].in_silico
    assert first is not None
    assert first.status == "unavailable"
    assert first.reason.startswith("not computed: ")
    assert "no such folder" in first.reason
    offline = engine("google/txgemma-2b-predict", tmp_path).profiles(["erlotinib"])[0].in_silico
    assert offline is not None
    assert "HF_HUB_OFFLINE" in offline.reason or "offline" in offline.reason
    never = engine(tmp_path / "absent", tmp_path, compute="no").profiles(["erlotinib"])[0].in_silico
    assert never is not None
    assert "compute=no" in never.reason


def test_in_silico_types_hold_no_contradiction() -> None:
    with pytest.raises(ValueError, match="letter or a rank"):
        InSilicoFact(task="t", topic="t", state="answered")
    with pytest.raises(ValueError, match="letter or a rank"):
        InSilicoFact(task="t", topic="t", state="unparsed", answer="A", reason="r")
    with pytest.raises(ValueError, match="says why"):
        InSilicoFact(task="t", topic="t", state="not_computed")
    with pytest.raises(ValueError, match="name the model"):
        InSilicoPanel(status="ok")
    with pytest.raises(ValueError, match="gives its reason"):
        InSilicoPanel(status="unavailable")


def test_a_lookup_brings_the_panel_and_an_unknown_name_does_not(
    gemma2: Path, tmp_path: Path
) -> None:
    drugs = engine(gemma2, tmp_path)
    found = drugs.lookup("Tarceva")
    assert isinstance(found, DrugProfile)
    assert found.in_silico is not None
    assert drugs.lookup("aspirin").kind == "not_in_knowledge_base"
    assert drugs.version == load_drugs().version


def test_missing_packages_leave_the_curated_facts(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    found = engine("google/txgemma-2b-predict", tmp_path).profiles(["erlotinib"])[0]
    assert found.facts
    assert found.in_silico is not None
    assert "pip install" in found.in_silico.reason


def test_closing_lets_the_model_go_and_the_next_question_loads_it(
    gemma2: Path, tmp_path: Path
) -> None:
    drugs = engine(gemma2, tmp_path)
    assert fact(drugs, "erlotinib", "BBB_Martins").answer == "B"
    drugs.close()
    assert drugs._asker._model is None
    assert fact(drugs, "gefitinib", "BBB_Martins").answer == "A"
