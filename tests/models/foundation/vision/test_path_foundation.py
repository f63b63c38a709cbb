"""Path Foundation's two routes: a SavedModel (needs TensorFlow) and an ONNX graph."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from stores import CORE, core
from tiny_path_foundation import (
    PATCH,
    PX,
    SIZE,
    build_patch_onnx,
    build_patch_saved_model,
    build_vit_saved_model,
    patch_weights,
)
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import (
    CheckpointClassError,
    EngineMismatch,
    EngineSpecError,
    EngineUnavailable,
    ImageSizeError,
    WeightsCorrupted,
)
from immunopath.models.foundation.vision.onnx_embedder import compare, onnx_encoder
from immunopath.models.foundation.vision.path_foundation import saved_model_encoder
from immunopath.models.foundation.vision.tile_embedder import TileEmbedder
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec

TF = importlib.util.find_spec("tensorflow") is not None
needs_tf = pytest.mark.skipif(not TF, reason="TensorFlow comes with the extra path-foundation")
needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="needs onnxruntime"
)
PATCHES = np.random.default_rng(0).integers(0, 256, (3, PX, PX, 3), dtype=np.uint8)


def embedder(source: object, **options: str) -> TileEmbedder:
    spec = EngineSpec(name="path-foundation", source=str(source), options=options)
    return cast("TileEmbedder", build_engine("embedder", spec, "cpu"))


def by_hand(patches: np.ndarray) -> np.ndarray:
    """The patch network in numpy: [0, 1] input, 32 px patches, ReLU, mean over the patches."""
    x = patches.astype(np.float64) / 255
    side = PX // PATCH
    cut = x.reshape(-1, side, PATCH, side, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    flat = cut.reshape(len(x), side * side, -1) @ patch_weights().astype(np.float64)
    return np.maximum(flat, 0).mean(axis=1)


@needs_onnx
def test_the_onnx_graph_computes_what_it_should(tmp_path: Path) -> None:
    encode = onnx_encoder(build_patch_onnx(tmp_path / "m.onnx"), "cpu", PX, SIZE)
    assert np.allclose(encode(PATCHES), by_hand(PATCHES), atol=1e-4)


@needs_onnx
def test_an_onnx_file_embeds_tiles_at_its_resolution(tmp_path: Path, shared_images: Path) -> None:
    engine = embedder(build_patch_onnx(tmp_path / "m.onnx"))
    source = core(shared_images, 512)
    row = engine.embed(source)
    assert row.shape == (1, SIZE)
    info = engine.info
    assert (info.expected_mpp, info.input_px, info.embedding_size) == (0.5, PX, SIZE)
    assert (info.licence, info.gated) == ("HAI-DEF", True)
    pixels = source.pixels(source.tiles[0].tile_id, 0.5)
    cut = [pixels[y : y + PX, x : x + PX] for y in (32, 256) for x in (32, 256)]
    each = by_hand(np.stack(cut))
    mean = (each / np.linalg.norm(each, axis=1, keepdims=True)).mean(axis=0)
    assert np.allclose(row[0], mean / np.linalg.norm(mean), atol=1e-5)
    coarse = embedder(tmp_path / "m.onnx", mpp="1.0").embed(source)
    view = source.pixels(source.tiles[0].tile_id, 1.0)[16:240, 16:240]
    alone = by_hand(view[None])[0]
    assert np.allclose(coarse[0], alone / np.linalg.norm(alone), atol=1e-5)
    assert not np.allclose(coarse, row, atol=1e-3)


@needs_onnx
def test_a_512_px_tile_is_never_squeezed_unless_asked(tmp_path: Path, shared_images: Path) -> None:
    import cv2

    source = core(shared_images, 512)
    engine = embedder(build_patch_onnx(tmp_path / "m.onnx"), view="squeeze")
    pixels = source.pixels(source.tiles[0].tile_id, 0.5)
    squeezed = by_hand(cv2.resize(pixels, (PX, PX), interpolation=cv2.INTER_AREA)[None])[0]
    assert np.allclose(engine.embed(source)[0], squeezed / np.linalg.norm(squeezed), atol=1e-5)
    assert engine.info.expected_mpp is None
    assert "view=squeeze" in engine.info.preprocess


@needs_onnx
def test_a_small_field_is_refused(tmp_path: Path, shared_images: Path) -> None:
    with pytest.raises(ImageSizeError, match="112 µm across"):
        embedder(build_patch_onnx(tmp_path / "m.onnx")).embed(core(shared_images, 200))


@needs_onnx
@pytest.mark.parametrize(
    ("make", "error", "what"),
    [
        (lambda p: None, WeightsCorrupted, "no such file"),
        (lambda p: p.write_bytes(b"not a graph"), WeightsCorrupted, "not a usable ONNX graph"),
        (
            lambda p: p.write_bytes(build_patch_onnx(p).read_bytes()[:5000]),
            WeightsCorrupted,
            "ONNX",
        ),
        (lambda p: build_patch_onnx(p, px=96), CheckpointClassError, r"\(n, 224, 224, 3\)"),
    ],
)
def test_a_graph_that_cannot_be_used_says_why(
    tmp_path: Path, make: Callable[[Path], object], error: type[EngineUnavailable], what: str
) -> None:
    make(tmp_path / "m.onnx")
    with pytest.raises(error, match=what):
        embedder(tmp_path / "m.onnx")


def test_what_a_spec_lacks(tmp_path: Path) -> None:
    with pytest.raises(EngineSpecError, match=r"0\.5, 1, 2 µm"):
        embedder(tmp_path, mpp="0.25")
    with pytest.raises(EngineSpecError, match="runtime"):
        embedder(tmp_path, runtime="jax")
    with pytest.raises(EngineSpecError, match="TensorFlow"):
        embedder("m.onnx", runtime="tf")
    with pytest.raises(CheckpointClassError, match="neither saved_model"):
        embedder(tmp_path)
    with pytest.raises(CheckpointClassError, match=r"no \.onnx"):
        embedder(tmp_path, runtime="onnx")
    for name in "ab":
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    with pytest.raises(CheckpointClassError, match="name one of them"):
        embedder(tmp_path)


@pytest.mark.skipif(TF, reason="TensorFlow is installed")
def test_without_tensorflow_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(EngineUnavailable, match=r"immunopath\[path-foundation\]"):
        embedder(tmp_path)


@needs_tf
def test_a_vit_as_saved_model(tmp_path: Path, shared_images: Path) -> None:
    import tensorflow as tf

    folder = build_vit_saved_model(tmp_path / "vit")
    engine = embedder(folder)
    source = core(shared_images, 1024)
    rows = engine.embed(source)
    assert rows.shape == (4, SIZE)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert engine.info.weights_digest
    assert engine.info.description.endswith("tf")
    view = source.pixels(source.tiles[0].tile_id, 1.0)[16:240, 16:240].astype(np.float32) / 255
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    theirs = signature(tf.constant(view[None]))["output_0"].numpy()[0]
    ours = embedder(folder, mpp="1.0").embed(source)[0]
    assert np.allclose(ours, theirs / np.linalg.norm(theirs), atol=1e-5)
    assert np.allclose(rows, embedder(folder, batch="1").embed(source), atol=1e-5)


@needs_tf
@needs_onnx
def test_the_two_runtimes_agree_on_patches_and_another_network_is_found_out(
    tmp_path: Path, shared_images: Path
) -> None:
    folder = build_patch_saved_model(tmp_path / "m")
    saved = saved_model_encoder(folder, "m", "cpu")
    store = core(shared_images, 1024)
    tiles = np.stack([store.pixels(t.tile_id, 0.5)[:PX, :PX] for t in store.tiles])
    patches = np.concatenate([PATCHES, tiles])
    same = onnx_encoder(build_patch_onnx(tmp_path / "same.onnx"), "cpu", PX, SIZE)
    found = compare(saved, same, patches)
    assert found.n == len(patches)
    assert found.min_cosine >= 0.9999
    assert found.max_difference < 1e-3
    found.check()
    other = onnx_encoder(build_patch_onnx(tmp_path / "other.onnx", seed=1), "cpu", PX, SIZE)
    with pytest.raises(EngineMismatch, match="not the same encoder"):
        compare(saved, other, patches).check()


@needs_tf
@needs_onnx
def test_the_command_compares_on_the_patches_of_an_image(
    tmp_path: Path, shared_images: Path
) -> None:
    folder = build_patch_saved_model(tmp_path / "m")
    image = ["--mpp", "0.5", str(shared_images / CORE)]
    good = build_patch_onnx(tmp_path / "good.onnx")
    done = CliRunner().invoke(app, ["models", "compare", str(folder), str(good), *image])
    assert done.exit_code == 0, done.output
    assert "lowest cosine 1.000000" in done.output
    bad = build_patch_onnx(tmp_path / "bad.onnx", seed=1)
    done = CliRunner().invoke(app, ["models", "compare", str(folder), str(bad), *image])
    assert isinstance(done.exception, EngineMismatch)


@needs_tf
def test_an_onnx_file_beside_the_saved_model_is_used_and_tf_can_be_asked_for(
    tmp_path: Path, shared_images: Path
) -> None:
    folder = build_patch_saved_model(tmp_path / "m")
    build_patch_onnx(folder / "m.onnx")
    by_onnx, by_tf = embedder(folder), embedder(folder, runtime="tf")
    assert by_onnx.info.description.endswith("onnx")
    assert by_tf.info.description.endswith("tf")
    source = core(shared_images, 512)
    assert float(by_onnx.embed(source)[0] @ by_tf.embed(source)[0]) >= 0.9999


@needs_tf
def test_a_saved_model_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(CheckpointClassError, match="no Path Foundation"):
        embedder(build_vit_saved_model(tmp_path / "small", size=64))
    folder = build_patch_saved_model(tmp_path / "m")
    (folder / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(WeightsCorrupted, match="fetch it again"):
        embedder(folder)
    folder = build_patch_saved_model(tmp_path / "n")
    for path in (folder / "variables").glob("variables.data*"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsCorrupted, match="fetch it again"):
        embedder(folder)
