"""The drugs engine on a tiny Gemma 2 that knows some answers by heart."""

import json
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tiny_gemma2 import BY_HEART, ERLOTINIB, GEFITINIB, SURE, build_gemma2, prompt_of

from immunopath.domain.drug import DrugProfile, InSilicoFact, InSilicoPanel
from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    KnowledgeError,
    LogitsNotFinite,
    PrecisionUnsupported,
    ProcessorMissing,
    TokenizerMismatch,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.embedded.drug_knowledge import load_drugs
from immunopath.models.foundation import txgemma_cache as cache
from immunopath.models.foundation.txgemma import TxGemmaDrugs
from immunopath.models.foundation.weights import resolve_weights
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from immunopath.models.foundation.txgemma_model import TxGemmaModel, load_txgemma  # noqa: E402

CERTAIN = 1 / (1 + math.exp(-30 * math.tanh(SURE / 30)))
"""Gemma 2 caps its logits at 30: a token known by heart has 30 tanh(8 / 30), its twin 0."""
TASKS = "BBB_Martins+hERG+Pgp_Broccatelli+Caco2_Wang+LD50_Zhu+DILI"


@pytest.fixture(scope="session")
def gemma2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_gemma2(tmp_path_factory.mktemp("gemma2") / "txgemma-tiny")


@pytest.fixture
def copied(gemma2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gemma2, tmp_path / "copy"))


def engine(source: object, folder: Path, **options: str) -> TxGemmaDrugs:
    given = {"tasks": TASKS, "cache": str(folder), **options}
    spec = EngineSpec(name="txgemma", source=str(source), options=given)
    return cast("TxGemmaDrugs", build_engine("drugs", spec, "cpu"))


def model(folder: Path, **options: str) -> TxGemmaModel:
    spec = EngineSpec(name="txgemma", source=str(folder), options=options)
    return load_txgemma(spec, resolve_weights(str(folder)), "cpu")


def panel(drugs: TxGemmaDrugs, name: str) -> InSilicoPanel:
    found = drugs.profiles([name])[0].in_silico
    assert found is not None
    return found


def fact(drugs: TxGemmaDrugs, name: str, task: str) -> InSilicoFact:
    return next(f for f in panel(drugs, name).facts if f.task == task)


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


def test_a_report_needs_no_weights_once_the_answers_are_kept(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = panel(engine(gemma2, tmp_path / "kept"), "erlotinib")
    files = list((tmp_path / "kept").iterdir())
    assert len(files) == 1
    assert files[0].name.startswith(resolve_weights(str(gemma2)).digest[:16])
    gone = tmp_path / "elsewhere" / gemma2.name
    assert panel(engine(gone, tmp_path / "kept"), "erlotinib") == first
    assert panel(engine(gone, tmp_path / "kept", compute="no"), "erlotinib") == first
    one_more = engine(gone, tmp_path / "kept").profiles(["erlotinib", "gefitinib"])
    assert one_more[0].in_silico == first
    other = one_more[1].in_silico
    assert other is not None
    assert other.status == "unavailable"
    assert "not computed" in other.reason

    def refuse(*args: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("immunopath.models.foundation.txgemma_panel.load_txgemma", refuse)
    assert panel(engine(gemma2, tmp_path / "kept"), "erlotinib") == first


def test_another_checkpoint_or_another_prompt_is_asked_anew(copied: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fact(engine(copied, kept), "erlotinib", "BBB_Martins")
    prompts = json.loads((copied / "tdc_prompts.json").read_text())
    prompts["BBB_Martins"] = prompts["hERG"]
    (copied / "tdc_prompts.json").write_text(json.dumps(prompts))
    assert fact(engine(copied, kept), "erlotinib", "BBB_Martins").text == "none"
    assert len(list(kept.iterdir())) == 2
    with pytest.raises(EngineUnavailable, match="give revision="):
        cache.find(kept, copied.name, None)


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


def other_class(folder: Path) -> None:
    from transformers import ViTConfig

    ViTConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=2).save_pretrained(folder)


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def lose_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def more_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<extra{i}>" for i in range(40)])
    tokenizer.save_pretrained(folder)


def nan_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"].fill_(float("nan"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("harm", "error", "what"),
    [
        (other_class, CheckpointClassError, "this engine runs gemma2"),
        (truncate, WeightsCorrupted, "fetch"),
        (lose_tokenizer, ProcessorMissing, "tokenizer"),
        (more_tokens, TokenizerMismatch, "do not belong together"),
        (lambda f: (f / "model.safetensors").unlink(), UnsafeWeights, "safetensors"),
        (nan_weights, LogitsNotFinite, "not finite"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_says_why(
    copied: Path,
    tmp_path: Path,
    harm: Callable[[Path], object],
    error: type[EngineUnavailable],
    what: str,
) -> None:
    harm(copied)
    with pytest.raises(error, match=what):
        model(copied).ask([prompt_of("hERG", ERLOTINIB)], "choice")
    found = panel(engine(copied, tmp_path / "kept"), "erlotinib")
    assert found.status == "unavailable"
    assert what in found.reason


def test_wrong_options_are_named(gemma2: Path, tmp_path: Path) -> None:
    for options in ({"mode": "talk"}, {"compute": "maybe"}, {"batch": "0"}, {"tasks": "GDSC1"},
                    {"temperature": "1"}):  # fmt: skip
        with pytest.raises(EngineSpecError, match=next(iter(options))):
            engine(gemma2, tmp_path, **options)
    with pytest.raises(PrecisionUnsupported):
        model(gemma2, dtype="float16")
    with pytest.raises(ProcessorMissing, match="chat template"):
        model(gemma2, mode="chat")


def identity(**changes: str) -> cache.Identity:
    given = {"source": "s", "revision": "r", "weights_digest": "w" * 64, "prompts_digest": "p",
             "mode": "predict", "precision": "float32"}  # fmt: skip
    return cache.Identity.model_validate(given | changes)


ANSWER = cache.CachedAnswer(prompt_sha256="x", text="(A)", letter="A", probability=0.25)


def test_answers_of_two_writers_are_both_kept(tmp_path: Path) -> None:
    cache.save(tmp_path, identity(), {"a": ANSWER})
    both = cache.save(tmp_path, identity(), {"b": ANSWER})
    assert set(both.answers) == {"a", "b"}
    assert cache.load(tmp_path, identity()) == both
    assert cache.find(tmp_path, "s", None) == both
    assert cache.find(tmp_path, "other", None) is None
    assert cache.find(tmp_path / "none", "s", None) is None
    assert [p.suffix for p in tmp_path.iterdir()] == [".json"]


@pytest.mark.parametrize("change", ["revision", "weights_digest", "prompts_digest", "precision"])
def test_whatever_decides_an_answer_has_its_own_file(tmp_path: Path, change: str) -> None:
    cache.save(tmp_path, identity(), {"a": ANSWER})
    assert cache.load(tmp_path, identity(**{change: "other"})).answers == {}
    assert identity(mode="chat").name != identity().name


def test_a_damaged_or_foreign_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / identity().name
    path.write_text("{")
    with pytest.raises(EngineUnavailable, match="delete it"):
        cache.load(tmp_path, identity())
    foreign = cache.CacheFile(identity=identity(weights_digest="v" * 64))
    path.write_text(foreign.model_dump_json())
    with pytest.raises(EngineUnavailable, match="another checkpoint"):
        cache.load(tmp_path, identity())


def test_the_key_depends_on_task_and_structure() -> None:
    keys = {cache.answer_key(t, s) for t in ("a", "b") for s in (ERLOTINIB, GEFITINIB)}
    assert len(keys) == 4


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


def test_memory_that_runs_out_halves_the_batch_and_keeps_what_was_answered(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = TxGemmaModel.ask

    def ask(self: TxGemmaModel, prompts: Sequence[str], kind: Any) -> Any:
        sizes.append(len(prompts))
        if len(prompts) > 1:
            raise RuntimeError("CUDA out of memory")
        return real(self, prompts, kind)

    monkeypatch.setattr(TxGemmaModel, "ask", ask)
    assert fact(engine(gemma2, tmp_path), "erlotinib", "BBB_Martins").answer == "B"
    assert max(sizes) > 1

    def never(self: TxGemmaModel, prompts: Sequence[str], kind: Any) -> Any:
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(TxGemmaModel, "ask", never)
    found = engine(gemma2, tmp_path).profiles(["erlotinib", "gefitinib"])[1].in_silico
    assert found is not None
    assert found.status == "unavailable"
    assert "not enough memory" in found.reason


def test_nf4_runs_and_has_its_own_answers(gemma2: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    import bitsandbytes

    packed = model(gemma2, quant="nf4")
    layers = [m for m in packed._model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 14  # two blocks of seven; the head stays as it is
    source = panel(engine(gemma2, tmp_path, quant="nf4"), "erlotinib").source
    assert source is not None
    assert source.preprocess == "mode=predict;dtype=nf4/float32"
    panel(engine(gemma2, tmp_path), "erlotinib")
    assert len(list(tmp_path.iterdir())) == 2


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


def test_the_full_size_has_the_published_number_of_parameters() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=256000, hidden_size=2304, intermediate_size=9216, num_hidden_layers=26,
        num_attention_heads=8, num_key_value_heads=4, head_dim=256,
    )  # fmt: skip
    with torch.device("meta"):
        full = Gemma2ForCausalLM(config)
    assert full.num_parameters() == 2_614_341_888
