"""Checkpoints of TxGemma that cannot be used, do not fit into memory, or are packed."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_gemma2 import ERLOTINIB, prompt_of
from txgemma_cases import engine, fact, model, panel

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    LogitsNotFinite,
    PrecisionUnsupported,
    ProcessorMissing,
    TokenizerMismatch,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.foundation.txgemma.txgemma_model import TxGemmaModel, named_mode
from immunopath.reporting.drug_view import _panel


@pytest.fixture
def copied(gemma2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gemma2, tmp_path / "copy"))


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


def test_answers_that_cannot_be_kept_stay_in_memory_and_the_panel_says_so(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    drugs = engine(gemma2, tmp_path / "file" / "kept", batch="1")
    first = drugs.profiles(["erlotinib"])[0].in_silico
    assert first is not None
    assert {f.task for f in first.facts if f.state == "answered"} >= {"BBB_Martins", "Caco2_Wang"}
    assert "not kept: " in first.reason
    assert "cannot be written" in first.reason
    assert any("cannot be written" in pair.value for pair in _panel(first))

    def refuse(*args: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(TxGemmaModel, "ask", refuse)
    assert panel(drugs, "erlotinib") == first


@pytest.mark.parametrize(
    ("source", "mode"),
    [
        ("google/txgemma-2b-predict", "predict"),
        ("google/txgemma-9b-chat", "chat"),
        ("/data/my-chat-models/txgemma-2b-predict", "predict"),
        ("/data/my-predict-runs/txgemma-9b-chat/", "chat"),
        ("/data/my-predict-runs/weights", None),
        ("someone-chat/txgemma", None),
    ],
)
def test_only_the_last_name_says_the_mode(source: str, mode: str | None) -> None:
    assert named_mode(source) == mode


def test_a_model_that_fails_leaves_the_curated_facts(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered\nmore")

    monkeypatch.setattr(TxGemmaModel, "ask", fails)
    found = engine(gemma2, tmp_path).profiles(["erlotinib"])[0]
    assert found.facts
    assert found.in_silico is not None
    assert found.in_silico.status == "unavailable"
    assert "device-side assert triggered" in found.in_silico.reason
    monkeypatch.setattr("immunopath.models.foundation.txgemma.txgemma_panel.load_txgemma", fails)
    assert "cannot be loaded" in panel(engine(gemma2, tmp_path), "erlotinib").reason


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


def test_the_full_size_has_the_published_number_of_parameters() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=256000, hidden_size=2304, intermediate_size=9216, num_hidden_layers=26,
        num_attention_heads=8, num_key_value_heads=4, head_dim=256,
    )  # fmt: skip
    with torch.device("meta"):
        full = Gemma2ForCausalLM(config)
    assert full.num_parameters() == 2_614_341_888
