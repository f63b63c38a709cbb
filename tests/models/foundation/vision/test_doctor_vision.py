"""Doctor rows of vision engines: numbers, class of the checkpoint, memory, each with a remedy."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_path_foundation import build_patch_onnx

from immunopath.models.foundation.checks import Check
from immunopath.models.foundation.doctor import check_engine
from immunopath.models.registry import Role
from immunopath.models.spec import EngineSpec

pytest.importorskip("transformers")


def rows(role: Role, text: str, device: str = "cpu") -> dict[str, Check]:
    found = check_engine(role, EngineSpec.parse(text), device)
    return {row.name.partition(": ")[2] or row.name: row for row in found}


def test_a_siglip_folder(siglip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows("phenotype", f"medsiglip:{siglip},dtype=bfloat16")
    assert {row.state for row in found.values()} == {"ok"}, found
    assert found["numbers"].detail == "bfloat16 on cpu"
    assert found["checkpoint"].detail.startswith("siglip, images of ")
    size = (siglip / "model.safetensors").stat().st_size  # of float32
    free = "immunopath.models.foundation.checks.free_bytes"
    monkeypatch.setattr(free, lambda device: int(size * 0.6))
    assert rows("phenotype", f"medsiglip:{siglip},dtype=bfloat16")["memory"].state == "ok"
    plain = rows("phenotype", f"medsiglip:{siglip}")["memory"]
    assert plain.state == "missing"
    assert "dtype=bfloat16" in plain.remedy


def test_another_class_a_cut_file_and_an_absent_device(
    siglip: Path, vit: Path, tmp_path: Path
) -> None:
    other = rows("phenotype", f"medsiglip:{vit}")["checkpoint"]
    assert "CheckpointClassError" in other.detail
    assert "is a vit checkpoint" in other.detail
    assert other.remedy
    cut = Path(shutil.copytree(siglip, tmp_path / "cut"))
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-400])
    found = rows("phenotype", f"medsiglip:{cut}")
    assert "WeightsCorrupted" in found["checkpoint"].detail
    assert "copy it again" in found["checkpoint"].remedy
    assert found["memory"].detail.startswith("not estimated")
    assert (
        "sees no CUDA GPU" in rows("phenotype", f"medsiglip:{siglip}", "cuda:0")["numbers"].detail
    )
    assert "is not a device" in rows("embedder", f"hf-vision:{vit}", "gpu!")["numbers"].detail


def test_a_vit_folder_and_one_without_its_processor(vit: Path, tmp_path: Path) -> None:
    found = rows("embedder", f"hf-vision:{vit}")
    assert {row.state for row in found.values()} == {"ok"}, found
    assert found["checkpoint"].detail.startswith("vit, images of ")
    bare = Path(shutil.copytree(vit, tmp_path / "bare"))
    (bare / "preprocessor_config.json").unlink()
    assert "ProcessorMissing" in rows("embedder", f"hf-vision:{bare}")["checkpoint"].detail


def test_path_foundation_says_which_file_will_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = build_patch_onnx(tmp_path / "model.onnx")
    for text in (f"path-foundation:{file}", f"path-foundation:{tmp_path}"):
        found = rows("embedder", text)
        assert {row.state for row in found.values()} == {"ok"}, found
        assert "ONNX file model.onnx" in found["checkpoint"].detail
    absent = rows("embedder", f"path-foundation:{tmp_path / 'none.onnx'}")["checkpoint"]
    assert absent.state == "missing"
    shutil.copy(file, tmp_path / "other.onnx")
    several = rows("embedder", f"path-foundation:{tmp_path}")["checkpoint"]
    assert "several .onnx files" in several.detail


def test_a_timm_folder_an_architecture_and_what_is_neither(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    model = timm.create_model("test_vit", num_classes=0)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_vit"}))
    found = rows("embedder", f"timm:{tmp_path}")
    assert {row.state for row in found.values()} == {"ok"}, found
    assert found["checkpoint"].detail.startswith("test_vit, ")
    file = f"timm:test_vit,pretrained={tmp_path / 'model.safetensors'}"
    assert rows("embedder", file)["checkpoint"].state == "ok"
    absent = f"timm:test_vit,pretrained={tmp_path / 'none.safetensors'}"
    assert rows("embedder", absent)["checkpoint"].state == "missing"
    unknown = f"timm:no_such_net,pretrained={tmp_path / 'model.safetensors'}"
    assert "no architecture" in rows("embedder", unknown)["checkpoint"].detail
    (tmp_path / "config.json").write_text("[]")
    assert "names no architecture" in rows("embedder", f"timm:{tmp_path}")["checkpoint"].detail
