"""The embedding: unit rows, invariances, and finding itself again."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from pixel_store import CORE, jpeg, pixels, restained, store_of

from immunopath.domain.errors import EngineError, EngineSpecError
from immunopath.models.atlas import load_atlas
from immunopath.models.embedded import embedder as module
from immunopath.models.embedded.descriptor import GROUPS, SIZE, describe
from immunopath.models.embedded.embedder import EmbeddedEmbedder, build, from_json, shipped
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

ENGINE = EmbeddedEmbedder(shipped())
FILE = Path(module.__file__).parent / module.CONSTANTS
SCRIPTS = Path(__file__).parents[3] / "scripts"
CHANGES: dict[str, Callable[[RGB], RGB]] = {
    "rotated": lambda a: np.rot90(a).copy(),
    "mirrored": lambda a: a[:, ::-1].copy(),
    "paler": lambda a: restained(a, 0.75, 0.75),
    "more haematoxylin": lambda a: restained(a, 1.3, 0.8),
    "more eosin": lambda a: restained(a, 0.8, 1.3),
    "jpeg": lambda a: jpeg(a, 60),
    "cropped": lambda a: a[: a.shape[0] * 4 // 5, : a.shape[1] * 4 // 5].copy(),
}


@pytest.fixture(scope="module")
def field(shared_images: Path) -> RGB:
    return pixels(shared_images / "lung_he_til" / "u24_train300" / "24.png")


def embedded(rgb: RGB) -> np.ndarray:
    return shipped().apply(describe(rgb)[None])[0]


def test_one_unit_row_per_tile(shared_images: Path) -> None:
    store = store_of(pixels(shared_images / CORE))
    rows = ENGINE.embed(store)
    assert rows.shape == (len(store.tiles), SIZE) == (len(store.tiles), ENGINE.info.embedding_size)
    assert rows.dtype == np.float32
    assert rows.flags["C_CONTIGUOUS"]
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert (rows == ENGINE.embed(store)).all()


def test_no_tiles_give_no_rows() -> None:
    assert ENGINE.embed(store_of()).shape == (0, SIZE)


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_changed_copy_stays_nearer_to_itself_than_to_any_other_patch(
    field: RGB, name: str
) -> None:
    atlas = load_atlas()
    copy = embedded(CHANGES[name](field))
    hits = atlas.search(copy, 2, encoder=atlas.encoder).hits[0]
    assert hits[0].entry.image_id == "u24-24"
    assert hits[0].similarity > max(0.85, hits[1].similarity)


def test_turns_and_mirrors_hardly_move_the_vector(field: RGB) -> None:
    for name in ("rotated", "mirrored"):
        assert embedded(CHANGES[name](field)) @ embedded(field) > 0.99


def test_other_tissue_is_far(shared_images: Path, field: RGB) -> None:
    muscle = pixels(shared_images / "he_other" / "tiatoolbox_kather1.tif")
    assert embedded(muscle) @ embedded(field) < 0.6


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 255), st.integers(16, 90), st.integers(16, 90), st.booleans())
def test_any_pixels_give_a_finite_unit_vector(
    level: int, height: int, width: int, noisy: bool
) -> None:
    rgb = np.full((height, width, 3), level, np.uint8)
    if noisy:
        rgb = np.random.default_rng(level).integers(0, level + 1, rgb.shape).astype(np.uint8)
    vector = embedded(rgb)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_vector_at_the_mean_has_a_direction() -> None:
    vector = shipped().apply(shipped().mean[None].copy())
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_a_tile_too_small_to_embed_is_named(shared_images: Path) -> None:
    small = pixels(shared_images / CORE)[600:660, 400:460].copy()
    store = store_of(small, mpp=0.1)
    assert store.tiles
    with pytest.raises(EngineError, match="too small to embed"):
        ENGINE.embed(store)


def test_the_descriptor_has_its_documented_size() -> None:
    assert sum(size for _, size in GROUPS) == SIZE == 128
    assert describe(np.full((64, 64, 3), 200, np.uint8)).shape == (SIZE,)


def test_the_fit_gives_the_shipped_file(shared_images: Path) -> None:
    sys.path.insert(0, str(SCRIPTS))
    try:
        script = importlib.import_module("fit_embedder")
    finally:
        sys.path.remove(str(SCRIPTS))
    made = script.fit(*script.read(shared_images / "nucls_til"))
    kept = shipped().constants
    assert made.fit_data_sha256 == kept.fit_data_sha256
    assert made.mean == pytest.approx(kept.mean, abs=0.01)
    assert made.damping == pytest.approx(kept.damping, abs=0.01)


@pytest.mark.parametrize(
    "change", [{"mean": [0.0]}, {"scale": [0.0] * 128}, {"damping": []}, {"groups": []}, {"x": 1}]
)
def test_a_constants_file_that_does_not_fit_the_code_is_refused(change: dict[str, object]) -> None:
    content = json.loads(FILE.read_text(encoding="utf-8")) | change
    with pytest.raises(EngineError, match="fit_embedder"):
        from_json(json.dumps(content))


def test_build_takes_no_options() -> None:
    assert build(EngineSpec.parse("embedded")).info.embedding_size == SIZE
    with pytest.raises(EngineSpecError):
        build(EngineSpec.parse("embedded:folder"))
