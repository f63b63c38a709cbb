"""Loading a transformers checkpoint: no code of its own, memory, numbers."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_medgemma import loaded

from immunopath.domain.errors import (
    EngineUnavailable,
    PrecisionUnsupported,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.foundation.hf_loading import (
    Placement,
    load_model,
    load_processor,
    placement,
    read_config,
    transformers,
)
from immunopath.models.foundation.weights import Weights, resolve_weights
from immunopath.models.spec import EngineSpec

CODE = """\
from pathlib import Path

Path({mark!r}).write_text("ran")

from transformers import PretrainedConfig, PreTrainedTokenizerFast, ProcessorMixin


class OwnConfig(PretrainedConfig):
    model_type = "own"


class OwnTokenizer(PreTrainedTokenizerFast):
    pass


class OwnProcessor(ProcessorMixin):
    pass
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that the checkpoint's code writes when it is run."""
    return tmp_path / "ran"


@pytest.fixture
def copied(base_folder: Path, tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint with code beside it, and a user who says yes to everything."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setattr("transformers.dynamic_module_utils.TIME_OUT_REMOTE_CODE", 2)
    folder = Path(shutil.copytree(base_folder, tmp_path / "copy"))
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    return folder


def weights(folder: Path) -> Weights:
    return resolve_weights(str(folder))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("model_type", ["own", "gemma3"])
def test_a_config_with_code_of_its_own_is_refused(
    copied: Path, mark: Path, model_type: str
) -> None:
    edit(copied / "config.json", model_type=model_type, auto_map={"AutoConfig": "own.OwnConfig"})
    with pytest.raises(UnsafeWeights, match="code of its own"):
        read_config(weights(copied))
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["AutoTokenizer", "AutoProcessor"])
def test_a_processor_with_code_of_its_own_is_refused(copied: Path, mark: Path, kind: str) -> None:
    if kind == "AutoTokenizer":
        edit(copied / "config.json", model_type="own", auto_map={"AutoConfig": "own.OwnConfig"})
        edit(
            copied / "tokenizer_config.json",
            tokenizer_class="OwnTokenizer",
            auto_map={"AutoTokenizer": ["own.OwnTokenizer", None]},
        )
    else:
        edit(
            copied / "processor_config.json",
            processor_class="OwnProcessor",
            auto_map={"AutoProcessor": "own.OwnProcessor"},
        )
    with pytest.raises(UnsafeWeights, match="code of its own"):
        load_processor(kind, weights(copied))
    assert not mark.exists()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"), MemoryError()]
)
@pytest.mark.parametrize("place", ["from_pretrained", "to"])
@pytest.mark.parametrize("engine", ["medgemma", "others"])
def test_no_memory_while_loading_is_not_taken_for_damage(
    base_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    place: str,
    engine: str,
) -> None:
    auto = transformers().AutoModelForImageTextToText

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(auto if place == "from_pretrained" else torch.nn.Module, place, fail)

    def load() -> object:
        if engine == "medgemma":
            return loaded(base_folder)
        return load_model(auto, weights(base_folder), (), Placement(torch.float32, "cpu"))

    with pytest.raises(EngineUnavailable, match=r"not enough memory to load .*quant=nf4") as caught:
        load()
    assert not isinstance(caught.value, WeightsCorrupted)


def test_bfloat16_that_a_gpu_only_emulates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    with pytest.raises(PrecisionUnsupported, match="dtype=float32"):
        placement(EngineSpec.parse("medsiglip,dtype=bfloat16"), "cuda:0")
    assert placement(EngineSpec.parse("medsiglip"), "cuda:0").dtype == torch.float32
    assert placement(EngineSpec.parse("medsiglip,dtype=bfloat16"), "cpu").dtype == torch.bfloat16
