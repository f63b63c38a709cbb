"""Vision encoders of timm; they come with the extra openclip."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from stores import core
from vision_cases import embedder

from immunopath.domain.errors import (
    EngineSpecError,
    EngineUnavailable,
    UnsafeWeights,
    WeightsCorrupted,
)

TIMM = importlib.util.find_spec("timm") is not None
needs_timm = pytest.mark.skipif(not TIMM, reason="timm comes with the extra openclip")


@needs_timm
def test_timm_by_architecture_and_by_folder(tmp_path: Path, shared_images: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("test_vit", pretrained=False)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, tmp_path / "weights.safetensors")
    named = embedder("timm", "test_vit", pretrained=str(tmp_path / "weights.safetensors"))
    folder = tmp_path / "folder"
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    local = embedder("timm", folder)
    source = core(shared_images, 512)
    rows = named.embed(source)
    assert rows.shape == (1, named.info.embedding_size)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.allclose(rows, local.embed(source), atol=1e-5)
    assert named.info.revision.startswith("test_vit sha256-")
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsCorrupted, match="damaged"):
        embedder("timm", "test_vit", pretrained=str(tmp_path / "weights.safetensors"))


@needs_timm
def test_timm_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineSpecError, match=r"pretrained=FILE\.safetensors"):
        embedder("timm", "test_vit")
    with pytest.raises(EngineSpecError, match="no architecture of that name"):
        embedder("timm", "no_such_net", pretrained="x.safetensors")
    with pytest.raises(UnsafeWeights, match="never loaded"):
        embedder("timm", "test_vit", pretrained=str(tmp_path / "w.pth"))


@pytest.mark.skipif(TIMM, reason="timm is installed")
def test_without_timm_the_extra_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="immunopath"):
        embedder("timm", "vit_small_patch16_224")
