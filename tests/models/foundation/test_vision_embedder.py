"""Embedders on tiny vision encoders of transformers (and, where installed, timm)."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from stores import CORE, core, store_of
from tiny_siglip import build_siglip
from tiny_vit import PX, build_vit

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineMismatch,
    EngineSpecError,
    EngineUnavailable,
    ImageSizeError,
    LogitsNotFinite,
    ProcessorMissing,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.atlas import Atlas, load_atlas
from immunopath.models.atlas_build import build_atlas
from immunopath.models.atlas_entry import Encoder
from immunopath.models.foundation.tile_embedder import TileEmbedder, VisionModel, tile_embedder
from immunopath.models.foundation.views import ViewPlan
from immunopath.models.registry import build_engine
from immunopath.models.retrieval import retrieve
from immunopath.models.spec import EngineSpec

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_vit(tmp_path_factory.mktemp("vit") / "model")


@pytest.fixture
def copied(vit: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(vit, tmp_path / "copy"))


def embedder(name: str, source: object, **options: str) -> TileEmbedder:
    spec = EngineSpec(name=name, source=str(source), options=options)
    return cast("TileEmbedder", build_engine("embedder", spec, "cpu"))


def test_one_unit_row_per_tile_and_what_the_engine_says_of_itself(
    vit: Path, shared_images: Path
) -> None:
    engine = embedder("hf-vision", vit)
    source = core(shared_images, 1024)
    rows = engine.embed(source)
    assert rows.shape == (4, 32)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert float((rows @ rows.T).min()) < 0.9999  # random, but it does look at the pixels
    info = engine.info
    assert (info.name, info.embedding_size, info.input_px) == ("hf-vision", 32, PX)
    assert (info.expected_mpp, info.licence, info.gated) == (0.5, "per model", False)
    assert info.preprocess.startswith("view=tile;pool=auto;mean_std=0.7,")


def test_the_row_is_the_models_cls_token_on_the_processors_pixels(vit: Path) -> None:
    from PIL import Image
    from transformers import AutoImageProcessor, ViTModel

    rgb = np.random.default_rng(5).integers(90, 230, (PX, PX, 3), dtype=np.uint8)
    source = _accepted(rgb)
    processor = AutoImageProcessor.from_pretrained(vit, backend="pil")
    pixels = processor(Image.fromarray(rgb), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        state = ViTModel.from_pretrained(vit, add_pooling_layer=False)(pixels).last_hidden_state
    for pool, theirs in (
        ("auto", state[0, 0]),
        ("cls", state[0, 0]),
        ("mean", state[0, 1:].mean(0)),
    ):
        ours = embedder("hf-vision", vit, pool=pool).embed(source)[0]
        assert np.allclose(ours, torch.nn.functional.normalize(theirs, dim=0), atol=1e-4)


def _accepted(rgb: np.ndarray) -> object:
    """A store whose only tile passes quality control, which noise would not."""
    store = store_of(rgb)
    store._summaries = [
        tile.model_copy(update={"quality": tile.quality.model_copy(update={"verdict": "accept"})})
        for tile in store.all_tiles
    ]
    return store


def test_the_tile_is_the_mean_of_its_views(vit: Path, shared_images: Path) -> None:
    source = core(shared_images, 512)
    seen: list[np.ndarray] = []
    directions = np.eye(4, dtype=np.float32)

    def encode(stacked: np.ndarray) -> np.ndarray:
        seen.extend(stacked)
        return directions[len(seen) - len(stacked) : len(seen)] * 7

    model = VisionModel("m", "1", "d", 224, 4, "x", False, "", encode)
    row = TileEmbedder(model, ViewPlan(0.5, 224, "tile"), 3).embed(source)
    assert len(seen) == 4
    assert np.allclose(row, 0.5)
    pixels = source.pixels(source.tiles[0].tile_id, 0.5)
    assert (seen[0] == pixels[32:256, 32:256]).all()


def test_the_batch_does_not_matter(vit: Path, shared_images: Path) -> None:
    source = core(shared_images, 512)
    one, many = (embedder("hf-vision", vit, batch=n).embed(source) for n in ("1", "64"))
    assert np.allclose(one, many, atol=1e-5)


def test_an_image_text_model_gives_its_image_features(tmp_path: Path, shared_images: Path) -> None:
    folder = build_siglip(tmp_path / "siglip")
    engine = embedder("hf-vision", folder, mpp="2")
    assert engine.info.embedding_size == 64
    assert engine.info.expected_mpp == 2
    assert engine.embed(core(shared_images, 512)).shape == (1, 64)


def test_a_pooler_that_was_never_saved_is_not_made_up(vit: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupted, match="pooler"):
        embedder("hf-vision", vit, pool="pooler")
    trained = build_vit(tmp_path / "pooled", pooler=True)
    assert embedder("hf-vision", trained, pool="pooler").info.embedding_size == 32


@pytest.mark.parametrize("kind", ["registers", "swin", "convnext"])
def test_other_architectures_are_pooled_by_what_they_have(kind: str, tmp_path: Path) -> None:
    folder = build_other(tmp_path / kind, kind)
    source = _accepted(np.random.default_rng(2).integers(90, 230, (64, 64, 3), dtype=np.uint8))
    pixels = source.pixels(source.tiles[0].tile_id, 0.5)  # type: ignore[attr-defined]
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    x = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        out = model((x - 0.5) / 0.5)
    tokens = out.last_hidden_state
    expected = {
        "registers": {"auto": tokens[:, 0], "mean": tokens[:, 5:].mean(1)},
        "swin": {"auto": out.pooler_output, "mean": tokens.mean(1)},
        "convnext": {"auto": out.pooler_output.flatten(1)},
    }[kind]
    for pool, theirs in expected.items():
        ours = embedder("hf-vision", folder, pool=pool).embed(source)  # type: ignore[arg-type]
        assert np.allclose(ours, torch.nn.functional.normalize(theirs, dim=1), atol=1e-4), pool


def build_other(folder: Path, kind: str) -> Path:
    import transformers as hf
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    model: Any
    if kind == "registers":
        model = hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64,
            patch_size=16, num_register_tokens=4))  # fmt: skip
    elif kind == "swin":
        model = hf.SwinModel(hf.SwinConfig(image_size=64, patch_size=4, embed_dim=16, depths=[1, 1],
                                           num_heads=[2, 2], window_size=4))  # fmt: skip
    else:
        model = hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=[16, 32], depths=[1, 1],
                                                   num_stages=2))  # fmt: skip
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.mul_(3)
    model.save_pretrained(folder)
    ViTImageProcessorPil(
        size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder)
    return folder


def test_a_tile_too_small_is_refused_and_squeezing_must_be_asked_for(vit: Path) -> None:
    rgb = np.random.default_rng(1).integers(90, 230, (80, 100, 3), dtype=np.uint8)
    source = _accepted(rgb)
    with pytest.raises(ImageSizeError, match="view=squeeze"):
        embedder("hf-vision", vit).embed(source)  # type: ignore[arg-type]
    squeezed = embedder("hf-vision", vit, view="squeeze")
    assert squeezed.embed(source).shape == (1, 32)  # type: ignore[arg-type]
    assert squeezed.info.expected_mpp is None


def lose(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-500])


def text_model(folder: Path) -> None:
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                          num_attention_heads=2, num_key_value_heads=1, head_dim=16)  # fmt: skip
    Gemma2Model(config).save_pretrained(folder)


def other_size(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"size": {"height": 140, "width": 140}}))


@pytest.mark.parametrize(
    ("harm", "error", "what"),
    [
        (lose("preprocessor_config.json"), ProcessorMissing, "image processor"),
        (lose("config.json"), CheckpointClassError, "config.json"),
        (lose("model.safetensors"), UnsafeWeights, "no .safetensors"),
        (truncate, WeightsCorrupted, "fetch"),
        (text_model, CheckpointClassError, "give a vision encoder"),
        (other_size, CheckpointClassError, "140 px"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_says_why(
    copied: Path, harm: Callable[[Path], object], error: type[EngineUnavailable], what: str
) -> None:
    harm(copied)
    with pytest.raises(error, match=what):
        embedder("hf-vision", copied)


def test_nan_is_named(copied: Path, shared_images: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    tensors["layernorm.weight"].fill_(float("nan"))
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LogitsNotFinite, match="dtype=float32"):
        embedder("hf-vision", copied).embed(core(shared_images, 512))


def test_wrong_options_are_named(vit: Path) -> None:
    for options in ({"pool": "best"}, {"dtype": "float16"}, {"resize": "x"}, {"mpp": "-1"}):
        with pytest.raises(EngineSpecError, match=next(iter(options))):
            embedder("hf-vision", vit, **options)
    with pytest.raises(EngineSpecError, match="say which model"):
        build_engine("embedder", EngineSpec(name="hf-vision"), "cpu")


def test_an_atlas_takes_no_other_encoders_queries(
    vit: Path, tmp_path: Path, shared_images: Path
) -> None:
    manifest = tmp_path / "m.csv"
    small = shared_images / "lung_he_til/u24_cae100/image_99.png"
    manifest.write_text(f"path,id,mpp\n{shared_images / CORE},A,0.5\n{small},B,0.5\n")
    own = embedder("hf-vision", vit)
    built = build_atlas(manifest, own, tmp_path / "a.atlas")
    atlas = built.atlas
    assert [name for name, _ in built.skipped] == [str(small)]
    assert "56 µm across (largest: 50 µm)" in built.skipped[0][1]
    assert Atlas.load(tmp_path / "a.atlas").encoder == Encoder.of(own.info)
    source = core(shared_images, 512)
    assert retrieve(source, own, atlas).neighbours
    other_weights = embedder("hf-vision", build_vit(tmp_path / "other", seed=1))
    other_view = embedder("hf-vision", vit, view="crop")
    other_mpp = embedder("hf-vision", vit, mpp="1.0")
    other_pool = embedder("hf-vision", vit, pool="mean")
    for query in (other_weights, other_view, other_mpp, other_pool):
        with pytest.raises(EngineMismatch, match="build an atlas with this embedder"):
            retrieve(source, query, atlas)
    with pytest.raises(EngineMismatch):
        retrieve(source, own, load_atlas())


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
    for source, options in (("test_vit", {}), ("no_such_net", {"pretrained": "x.safetensors"})):
        with pytest.raises(EngineSpecError, match=r"pretrained=FILE\.safetensors"):
            embedder("timm", source, **options)
    with pytest.raises(UnsafeWeights, match="never loaded"):
        embedder("timm", "test_vit", pretrained=str(tmp_path / "w.pth"))


@pytest.mark.skipif(TIMM, reason="timm is installed")
def test_without_timm_the_extra_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="immunopath"):
        embedder("timm", "vit_small_patch16_224")


def test_the_default_resolution_is_the_tiles_own() -> None:
    model = VisionModel("m", "1", "d", 8, 4, "x", False, "", lambda x: x)  # type: ignore[arg-type,return-value]
    assert tile_embedder(EngineSpec(name="m"), model).info.expected_mpp == 0.5
