"""Embedders on tiny vision encoders of transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stores import CORE, core
from tiny_siglip import build_siglip
from tiny_vit import PX, build_vit
from vision_cases import accepted, embedder

from immunopath.domain.errors import (
    EngineMismatch,
    ImageSizeError,
    WeightsCorrupted,
)
from immunopath.models.atlas import Atlas, load_atlas
from immunopath.models.atlas_build import build_atlas
from immunopath.models.atlas_entry import Encoder
from immunopath.models.foundation.vision.tile_embedder import (
    TileEmbedder,
    TileOptions,
    VisionModel,
)
from immunopath.models.foundation.vision.views import ViewPlan
from immunopath.models.retrieval import retrieve
from immunopath.models.spec import EngineSpec


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
    source = accepted(rgb)
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


def test_a_tile_too_small_is_refused_and_squeezing_must_be_asked_for(vit: Path) -> None:
    rgb = np.random.default_rng(1).integers(90, 230, (80, 100, 3), dtype=np.uint8)
    source = accepted(rgb)
    with pytest.raises(ImageSizeError, match="view=squeeze"):
        embedder("hf-vision", vit).embed(source)  # type: ignore[arg-type]
    squeezed = embedder("hf-vision", vit, view="squeeze")
    assert squeezed.embed(source).shape == (1, 32)  # type: ignore[arg-type]
    assert squeezed.info.expected_mpp is None


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


def test_the_default_resolution_is_the_tiles_own() -> None:
    model = VisionModel("m", "1", "d", 8, 4, "x", False, "", lambda x: x)  # type: ignore[arg-type,return-value]
    assert TileOptions.of(EngineSpec(name="m")).embedder(model).info.expected_mpp == 0.5
